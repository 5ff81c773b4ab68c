// Start, interrupts and the commands of one or two lines.

#include "monitor.h"

volatile u32 timer_ticks;
volatile struct caught caught;
volatile reg catch_at;
bool on_tcg;
void (*hook)(struct registers *r);
static u64 boot_tsc;
static volatile bool ctrl_c;

_Noreturn void abandon(void);

// ---- Interrupts

enum { PIC = 0x20, PIC2 = 0xa0, COM1 = 0x3f8, IRQ_BASE = 0x20, IRQ_TIMER = 0, IRQ_COM1 = 4 };

// Characters between the interrupt handler and the reader.
static volatile char ring[256];
static volatile unsigned ring_in, ring_out;

static void uart_drain(void)
{
    while (inb(COM1 + 5) & 1) {
        char c = (char)inb(COM1);
        if (c == 3) {
            // What was typed ahead is given up as well.
            ctrl_c = true;
            ring_out = ring_in;
        }
        if (ring_in - ring_out < sizeof ring)
            ring[ring_in++ % sizeof ring] = c;
    }
}

static const char *exception_name(unsigned v)
{
    static const char *const names[] = {
        "divide error", "debug", "NMI", "breakpoint", "overflow", "bound range", "invalid opcode", "no coprocessor",
        "double fault", "coprocessor segment", "invalid TSS", "segment not present", "stack fault", "protection",
    };
    return v < ARRAY_LEN(names) ? names[v] : "interrupt";
}

extern const u8 stubs[];

void trap(struct registers *r);
void trap(struct registers *r)
{
    unsigned v = (u16)(r->stub - 3 - (u16)(reg)stubs) / 4;
    if (v >= IRQ_BASE && v < IRQ_BASE + 16) {
        if (v == IRQ_BASE + IRQ_TIMER)
            timer_ticks++;
        else if (v == IRQ_BASE + IRQ_COM1)
            uart_drain();
        if (v >= IRQ_BASE + 8)
            outb(PIC2, 0x20);
        outb(PIC, 0x20);
        return;
    }
    if (hook) {
        caught.count++;
        caught.vector = v;
        hook(r);
        return;
    }
    if (catch_at) {
        caught.count++;
        caught.vector = v;
        caught.ip = r->ip;
        caught.cs = r->cs;
        caught.flags = r->flags;
        r->ip = (u16)catch_at;
        r->cs = 0;
        catch_at = 0;
        return;
    }
    printf("\ninterrupt %x (%s) at ", v, exception_name(v));
    hex(r->cs, 4);
    printf(":");
    hex(r->ip, 4);
    printf("\n");
    abandon();
}

int console_getc(void)
{
    for (;;) {
        asm volatile("cli");
        if (ring_in != ring_out) {
            char c = ring[ring_out++ % sizeof ring];
            if (c == 3)
                ctrl_c = false;
            asm volatile("sti");
            return (u8)c;
        }
        // Nothing comes between these two.
        asm volatile("sti; hlt");
    }
}

bool interrupted(void)
{
    asm volatile("cli");
    bool was = ctrl_c;
    ctrl_c = false;
    // It is the oldest character; the command takes it instead of the next line.
    if (was)
        ring_out++;
    asm volatile("sti");
    return was;
}

static void devices(void)
{
    static const u8 words[][2] = {
        {PIC, 0x11}, {PIC + 1, IRQ_BASE}, {PIC + 1, 4}, {PIC + 1, 1},
        {PIC2, 0x11}, {PIC2 + 1, IRQ_BASE + 8}, {PIC2 + 1, 2}, {PIC2 + 1, 1}, {PIC2 + 1, 0xff},
    };
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        outb(words[i][0], words[i][1]);
    outb(PIC + 1, (u8)~(1 << IRQ_TIMER | 1 << IRQ_COM1));
    unsigned divisor = 1193182 / TICK_HZ;
    outb(0x43, 0x34);
    outb(0x40, (u8)divisor);
    outb(0x40, (u8)(divisor >> 8));
    // 115200 baud, 8 bits, FIFO, interrupts for what comes in.
    outb(COM1 + 3, 0x80);
    outb(COM1, 1);
    outb(COM1 + 1, 0);
    outb(COM1 + 3, 3);
    outb(COM1 + 2, 1);
    outb(COM1 + 4, 0x0b);
    outb(COM1 + 1, 1);
}

// ---- Strings

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (u8)*a - (u8)*b;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

void hex(u32 v, unsigned digits)
{
    while (digits--)
        printf("%x", v >> 4 * digits & 15);
}

// ---- Memory

u32 peek(u16 seg, u16 offset, unsigned bytes)
{
    u32 v = 0;
    u32 at = offset;
    switch (bytes) {
    case 1: asm volatile("mov %w1, %%fs; movzbl %%fs:(%2), %0" : "=r"(v) : "r"(seg), "r"(at) : "memory"); break;
    case 2: asm volatile("mov %w1, %%fs; movzwl %%fs:(%2), %0" : "=r"(v) : "r"(seg), "r"(at) : "memory"); break;
    default: asm volatile("mov %w1, %%fs; movl %%fs:(%2), %0" : "=r"(v) : "r"(seg), "r"(at) : "memory");
    }
    return v;
}

void poke(u16 seg, u16 offset, unsigned bytes, u32 v)
{
    u32 at = offset;
    switch (bytes) {
    case 1: asm volatile("mov %w1, %%fs; movb %b0, %%fs:(%2)" ::"q"(v), "r"(seg), "r"(at) : "memory"); break;
    case 2: asm volatile("mov %w1, %%fs; movw %w0, %%fs:(%2)" ::"r"(v), "r"(seg), "r"(at) : "memory"); break;
    default: asm volatile("mov %w1, %%fs; movl %0, %%fs:(%2)" ::"r"(v), "r"(seg), "r"(at) : "memory");
    }
}

// SEGMENT:OFFSET, or an address that real mode reaches.
static bool parse_address(char *s, u16 *seg, u16 *offset)
{
    number a, b;
    for (char *p = s; *p; p++) {
        if (*p != ':')
            continue;
        *p = 0;
        bool good = parse_number(s, &a) && parse_number(p + 1, &b) && a < 0x10000 && b < 0x10000;
        *p = ':';
        *seg = (u16)a;
        *offset = (u16)b;
        return good;
    }
    if (!parse_number(s, &a) || a > 0x10ffef)
        return false;
    *seg = (u16)(a > 0xfffff ? 0xffff : a >> 4);
    *offset = (u16)(a - ((u32)*seg << 4));
    return true;
}

static void cmd_dump(int argc, char **argv)
{
    static u16 seg = 0, offset = 0x400;
    number len = 64;
    if (argc > 1 && !parse_address(argv[1], &seg, &offset)) {
        printf("dump: '%s' is not an address: give SEGMENT:OFFSET, or a number up to 10ffef\n", argv[1]);
        return;
    }
    if (argc > 2 && (!parse_number(argv[2], &len) || len > 0x10000)) {
        printf("dump: '%s' is not a length\n", argv[2]);
        return;
    }
    for (u32 done = 0; done < len; done += 16) {
        hex(seg, 4);
        printf(":");
        hex(offset, 4);
        printf(" ");
        u8 bytes[16];
        u32 n = len - done < 16 ? len - done : 16;
        for (u32 i = 0; i < n; i++) {
            // Offsets wrap.
            bytes[i] = (u8)peek(seg, (u16)(offset + i), 1);
            printf(i == 8 ? "  " : " ");
            hex(bytes[i], 2);
        }
        for (u32 i = n; i < 16; i++)
            printf(i == 8 ? "    " : "   ");
        printf("  |");
        for (u32 i = 0; i < n; i++)
            printf("%c", bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
        printf("|\n");
        offset = (u16)(offset + n);
        if (interrupted()) {
            printf("^C\n");
            return;
        }
    }
}

// A width in bits as bytes; 0 if it is none.
static unsigned width(const char *command, const char *s)
{
    unsigned bytes = !strcmp(s, "8") ? 1 : !strcmp(s, "16") ? 2 : !strcmp(s, "32") ? 4 : 0;
    if (!bytes)
        printf("%s: width is 8, 16 or 32, not '%s'\n", command, s);
    return bytes;
}

// A value of so many bytes.
static bool parse_value(const char *command, const char *s, unsigned bytes, number *value)
{
    if (!parse_number(s, value)) {
        printf("%s: '%s' is not a value\n", command, s);
        return false;
    }
    if (bytes < 4 && *value >> 8 * bytes) {
        printf("%s: %x does not fit %u bits\n", command, *value, 8 * bytes);
        return false;
    }
    return true;
}

static void cmd_write(int argc, char **argv)
{
    u16 seg, offset;
    number value;
    if (argc < 3) {
        printf("write: give an address and a value\n");
        return;
    }
    if (!parse_address(argv[1], &seg, &offset)) {
        printf("write: '%s' is not an address\n", argv[1]);
        return;
    }
    unsigned bytes = argc > 3 ? width(argv[0], argv[3]) : 2;
    if (!bytes || !parse_value(argv[0], argv[2], bytes, &value))
        return;
    poke(seg, offset, bytes, value);
    hex(seg, 4);
    printf(":");
    hex(offset, 4);
    printf(" = ");
    hex(peek(seg, offset, bytes), 2 * bytes);
    printf("\n");
}

static void cmd_port(int argc, char **argv)
{
    bool out = !strcmp(argv[0], "out");
    number port, value = 0;
    int words = out ? 3 : 2;
    if (argc < words || !parse_number(argv[1], &port) || port > 0xffff) {
        printf("%s: give a port%s\n", argv[0], out ? " and a value" : "");
        return;
    }
    unsigned bytes = argc > words ? width(argv[0], argv[words]) : 1;
    if (!bytes || (out && !parse_value(argv[0], argv[2], bytes, &value)))
        return;
    u16 p = (u16)port;
    if (out) {
        switch (bytes) {
        case 1: outb(p, (u8)value); break;
        case 2: outw(p, (u16)value); break;
        default: asm volatile("outl %0, %1" ::"a"(value), "Nd"(p));
        }
        return;
    }
    u16 word;
    switch (bytes) {
    case 1: value = inb(p); break;
    case 2:
        asm volatile("inw %1, %0" : "=a"(word) : "Nd"(p));
        value = word;
        break;
    default: value = inl(p);
    }
    hex(value, 2 * bytes);
    printf("\n");
}

// ---- The rest

static void cmd_ticks(void)
{
    u32 ticks = timer_ticks;
    printf("%u timer interrupts at %u Hz, %u.%u%u s\n", ticks, TICK_HZ, ticks / 100, ticks / 10 % 10, ticks % 10);
    if (HAS_1D(4))
        printf("time stamp counter %lx since the start\n", rdtsc() - boot_tsc);
}

static void cmd_help(void)
{
    static const char *const lines[][2] = {
        {"info", "                       board, memory, CPU"},
        {"regs", "                       registers"},
        {"dump [ADDR [LEN]]", "          memory in hex and ASCII; without ADDR, what follows the last"},
        {"write ADDR VALUE [8|16|32]", " store VALUE, 16 bits unless told"},
        {"in PORT [8|16|32]", "          read a port, 8 bits unless told"},
        {"out PORT VALUE [8|16|32]", "   write one"},
        {"ticks", "                      timer interrupts"},
        {"test", "                       CPU self-test"},
        {"reset", "                      start the machine anew"},
        {"off", "                        power off"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(lines); i++)
        printf("  %s %s\n", lines[i][0], lines[i][1]);
    printf("Numbers are hexadecimal, decimal after '#'. An address is SEGMENT:OFFSET or linear. Ctrl-C gives up,\n"
           "Ctrl-U empties the line, up recalls. Other tests: `lyrebird roms` lists them.\n");
}

static void run(char *line)
{
    static const struct {
        const char *name;
        void (*f)(void);
    } plain[] = {
        {"help", cmd_help}, {"?", cmd_help}, {"info", cmd_info}, {"regs", cmd_regs}, {"ticks", cmd_ticks},
        {"test", cmd_test},
    };
    static const struct {
        const char *name;
        void (*f)(int, char **);
    } with_words[] = {{"dump", cmd_dump}, {"write", cmd_write}, {"in", cmd_port}, {"out", cmd_port}};
    char *argv[8];
    int argc = split_words(line, argv, ARRAY_LEN(argv));
    if (!argc)
        return;
    for (unsigned i = 0; i < ARRAY_LEN(plain); i++) {
        if (!strcmp(argv[0], plain[i].name)) {
            plain[i].f();
            return;
        }
    }
    for (unsigned i = 0; i < ARRAY_LEN(with_words); i++) {
        if (!strcmp(argv[0], with_words[i].name)) {
            with_words[i].f(argc, argv);
            return;
        }
    }
    if (!strcmp(argv[0], "off")) {
        printf("power off\n");
        power_off();
    } else if (!strcmp(argv[0], "reset")) {
        printf("reset\n");
        outb(0xcf9, 2);
        outb(0xcf9, 6);
    } else {
        printf("%s: no such command; 'help' lists them\n", argv[0]);
    }
}

_Noreturn void prompt(void);
void prompt(void)
{
    asm volatile("sti");
    for (;;) {
        char line[LINE_MAX];
        if (read_line("lyrebird> ", line))
            run(line);
    }
}

_Noreturn void monitor(void);
void monitor(void)
{
    devices();
    if (HAS_1D(4))
        boot_tsc = rdtsc();
    // "TCGT", under a hypervisor's bit.
    on_tcg = HAS_1C(31) && cpuid(0x40000000, 0).b == 0x54474354;
    printf("\n"
           "   )\\  |  /(\n"
           "  (  \\ | /  )    Lyrebird monitor\n"
           "   \\  \\|/  /     real mode on the pc board, %u MiB RAM, timer 100 Hz\n"
           "    '-.|.-'      'help' lists the commands, 'test' checks the CPU, 'off' powers off.\n"
           "       V\n\n",
           (upper_kib >> 10) + 1);
    prompt();
}
