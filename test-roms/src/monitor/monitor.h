// The interactive monitor.
#pragma once

#include "../lib/rom.h"

#define TICK_HZ 100
#define LINE_MAX 120

typedef u64 number;

extern volatile u64 timer_ticks;
// The counter when the timer was started.
extern u64 boot_counter;

// Waits for input with the CPU asleep: a character.
int console_getc(void);
// Reads a line. False when it was given up with Ctrl-C.
bool read_line(const char *prompt, char line[LINE_MAX]);
// Whether Ctrl-C has been typed since this was last asked.
bool interrupted(void);
bool parse_number(const char *s, number *value);
// Splits a line in place; the words, 0 if there are none or too many.
int split_words(char *line, char **words, int room);

void cmd_bench(void);
void cmd_el(void);
void cmd_info(void);
void cmd_regs(void);
void cmd_sysregs(void);
void cmd_test(void);

// "Cortex-A57", or "AArch64 CPU" of an unknown part.
const char *cpu_name(void);
