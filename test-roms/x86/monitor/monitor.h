// The interactive monitor of the `pc` board, in real mode.
#pragma once

#include "../lib/rom.h"

#define TICK_HZ 100
#define LINE_MAX 120

typedef u32 number;

// What an interrupt leaves.
struct registers {
    u16 ss, ds, es, fs, gs;
    u32 edi, esi, ebp, esp, ebx, edx, ecx, eax;
    u16 stub, ip, cs, flags;
} __attribute__((packed));

extern volatile u32 timer_ticks;
// Memory above 1 MiB in KiB.
extern u32 upper_kib;

// Waits for input with the CPU asleep: a character.
int console_getc(void);
// Reads a line. False when it was given up with Ctrl-C.
bool read_line(const char *prompt, char line[LINE_MAX]);
// Whether Ctrl-C has been typed since this was last asked.
bool interrupted(void);
bool parse_number(const char *s, number *value);
int split_words(char *line, char **words, int room);

int strcmp(const char *a, const char *b);
size_t strlen(const char *s);
// A number in so many hexadecimal digits.
void hex(u32 v, unsigned digits);

// Bytes, words and double words anywhere in real mode's memory.
u32 peek(u16 seg, u16 offset, unsigned bytes);
void poke(u16 seg, u16 offset, unsigned bytes, u32 v);

// Called with the registers at an interrupt that a test expects; they may be changed.
extern void (*hook)(struct registers *r);

void cmd_info(void);
void cmd_regs(void);
void cmd_test(void);
