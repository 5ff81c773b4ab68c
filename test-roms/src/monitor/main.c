// Start, interrupts and the commands of one or two lines.

#include "monitor.h"

volatile u64 timer_ticks;
u64 boot_counter;
static u64 tick_interval;
static volatile bool ctrl_c;

#define PPI_VTIMER 27

// Characters between the interrupt handler and the reader.
static volatile char ring[256];
static volatile unsigned ring_in, ring_out;

static void uart_drain(void)
{
    for (int c; (c = uart_getc()) >= 0;) {
        if (c == 3) {
            // What was typed ahead is given up as well.
            ctrl_c = true;
            ring_out = ring_in;
        }
        if (ring_in - ring_out < sizeof ring)
            ring[ring_in++ % sizeof ring] = (char)c;
    }
}

static bool on_irq(struct frame *f)
{
    (void)f;
    for (;;) {
        u32 iar = gic_ack();
        unsigned intid = iar & 0x3ff;
        if (intid >= 1020)
            return true;
        if (intid == PPI_VTIMER) {
            timer_ticks++;
            // From the deadline, not from now: a late interrupt does not shift the later ones.
            MSR(cntv_cval_el0, MRS(cntv_cval_el0) + tick_interval);
            ISB();
        } else if (intid == UART_INTID) {
            mmio_write32(0x09000044, 1 << 4 | 1 << 6); // UARTICR: RXIC, RTIC
            uart_drain();
        }
        gic_eoi(iar);
    }
}

int console_getc(void)
{
    for (;;) {
        IRQ_OFF();
        if (ring_in != ring_out) {
            char c = ring[ring_out++ % sizeof ring];
            if (c == 3)
                ctrl_c = false;
            IRQ_ON();
            return (u8)c;
        }
        // Masked interrupts end the sleep too; one that came before is not slept through.
        WFI();
        IRQ_ON();
    }
}

bool interrupted(void)
{
    IRQ_OFF();
    bool was = ctrl_c;
    ctrl_c = false;
    // It is the oldest character; the command takes it instead of the next line.
    if (was)
        ring_out++;
    IRQ_ON();
    return was;
}

// ---- Memory

static const char *fault_name(u64 esr)
{
    unsigned fsc = FSC(esr);
    if (fsc == 0x10)
        return "external abort";
    if (fsc == 0x21)
        return "alignment fault";
    switch (fsc >> 2) {
    case 0:
        return "address size fault";
    case 1:
        return "no mapping";
    case 3:
        return "permission fault";
    default:
        return "abort";
    }
}

static bool report(const char *what, u64 addr)
{
    printf("%s at %016lx (%s, ESR %08lx)\n", fault_name(caught.esr), addr, what, caught.esr);
    return false;
}

static bool is_ram(u64 addr)
{
    return addr - board.memory_base < board.memory_size;
}

static bool load(u64 addr, unsigned bytes, u64 *value)
{
    u64 v = 0;
    unsigned faults = CATCH(({
        switch (bytes) {
        case 1: asm volatile("ldrb %w0, [%1]" : "+r"(v) : "r"(addr) : "memory"); break;
        case 2: asm volatile("ldrh %w0, [%1]" : "+r"(v) : "r"(addr) : "memory"); break;
        case 4: asm volatile("ldr %w0, [%1]" : "+r"(v) : "r"(addr) : "memory"); break;
        default: asm volatile("ldr %0, [%1]" : "+r"(v) : "r"(addr) : "memory");
        }
        DSB();
    }));
    *value = v;
    return !faults || report("read", addr);
}

static bool store(u64 addr, unsigned bytes, u64 v)
{
    unsigned faults = CATCH(({
        switch (bytes) {
        case 1: asm volatile("strb %w0, [%1]" ::"r"(v), "r"(addr) : "memory"); break;
        case 2: asm volatile("strh %w0, [%1]" ::"r"(v), "r"(addr) : "memory"); break;
        case 4: asm volatile("str %w0, [%1]" ::"r"(v), "r"(addr) : "memory"); break;
        default: asm volatile("str %0, [%1]" ::"r"(v), "r"(addr) : "memory");
        }
        DSB();
    }));
    return !faults || report("write", addr);
}

// 16 bytes a line. Devices are read in words, as they want it.
static void dump(u64 addr, u64 len)
{
    unsigned unit = is_ram(addr) ? 1 : 4;
    addr &= ~(u64)(unit - 1);
    for (u64 done = 0; done < len;) {
        u64 line = (addr + done) & ~15ull, skip = (addr + done) & 15, n = 16 - skip;
        if (n > len - done)
            n = (len - done + unit - 1) & ~(u64)(unit - 1);
        u8 bytes[16];
        for (u64 i = 0; i < n; i += unit) {
            u64 v;
            if (!load(addr + done + i, unit, &v))
                return;
            memcpy(bytes + skip + i, &v, unit);
        }
        printf("%016lx ", line);
        for (u64 i = 0; i < 16; i++) {
            if (i == 8)
                printf(" ");
            if (i < skip || i >= skip + n)
                printf("   ");
            else
                printf(" %02x", bytes[i]);
        }
        printf("  |");
        for (u64 i = 0; i < skip + n; i++)
            printf("%c", i < skip ? ' ' : bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
        printf("|\n");
        done += n;
        if (interrupted()) {
            printf("^C\n");
            return;
        }
    }
}

static void cmd_dump(int argc, char **argv)
{
    static u64 next = 0x40000000;
    u64 len = 64;
    if (argc > 1 && !parse_number(argv[1], &next)) {
        printf("dump: '%s' is not an address\n", argv[1]);
        return;
    }
    if (argc > 2 && !parse_number(argv[2], &len)) {
        printf("dump: '%s' is not a length\n", argv[2]);
        return;
    }
    dump(next, len);
    next += len;
}

static void cmd_write(int argc, char **argv)
{
    u64 addr, value, bits = 32;
    if (argc < 3) {
        printf("write: give an address and a value\n");
        return;
    }
    if (!parse_number(argv[1], &addr)) {
        printf("write: '%s' is not an address\n", argv[1]);
        return;
    }
    if (!parse_number(argv[2], &value)) {
        printf("write: '%s' is not a value\n", argv[2]);
        return;
    }
    if (argc > 3) {
        bits = !strcmp(argv[3], "8") ? 8 : !strcmp(argv[3], "16") ? 16 : !strcmp(argv[3], "32") ? 32
             : !strcmp(argv[3], "64") ? 64 : 0;
        if (!bits) {
            printf("write: width is 8, 16, 32 or 64, not '%s'\n", argv[3]);
            return;
        }
    }
    if (bits < 64 && value >> bits) {
        printf("write: %lx does not fit %lu bits\n", value, bits);
        return;
    }
    u64 back;
    if (store(addr, (unsigned)bits / 8, value) && is_ram(addr) && load(addr, (unsigned)bits / 8, &back))
        printf("%016lx = %0*lx\n", addr, (int)bits / 4, back);
}

// ---- The rest

static void cmd_ticks(void)
{
    u64 hz = MRS(cntfrq_el0), ticks = timer_ticks, now = MRS(cntvct_el0), ms = (now - boot_counter) * 1000 / hz;
    printf("%lu timer interrupts at %u Hz in %lu.%03lu s\n", ticks, TICK_HZ, ms / 1000, ms % 1000);
    printf("counter %016lx, %lu.%03lu MHz\n", now, hz / 1000000, hz / 1000 % 1000);
}

static void cmd_help(void)
{
    static const char *const lines[][2] = {
        { "info", "board, memory, CPU, interrupt controller" },
        { "el", "exception level, stack, masks, what the CPU says it can do" },
        { "regs", "general registers" },
        { "sysregs", "system registers" },
        { "dump [ADDR [LEN]]", "memory in hex and ASCII; without ADDR, what follows the last" },
        { "write ADDR VALUE [8|16|32|64]", "store VALUE, 32 bits unless told" },
        { "ticks", "timer interrupts and counter" },
        { "test", "CPU self-test" },
        { "bench", "small integer benchmark" },
        { "reset", "start the machine anew" },
        { "off", "power off" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(lines); i++)
        printf("  %-30s %s\n", lines[i][0], lines[i][1]);
    printf("Numbers are hexadecimal, decimal after '#'. Ctrl-C gives up, Ctrl-U empties the line, up recalls.\n"
           "Other tests: `lyrebird roms` lists them.\n");
}

static void run(char *line)
{
    char *argv[8];
    int argc = split_words(line, argv, ARRAY_LEN(argv));
    if (!argc)
        return;
    static const struct {
        const char *name;
        void (*f)(void);
    } commands[] = {
        { "help", cmd_help }, { "?", cmd_help },      { "info", cmd_info },       { "el", cmd_el },
        { "regs", cmd_regs }, { "sysregs", cmd_sysregs }, { "ticks", cmd_ticks }, { "test", cmd_test },
        { "bench", cmd_bench },
    };
    const char *name = argv[0];
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        if (!strcmp(name, commands[i].name)) {
            commands[i].f();
            return;
        }
    }
    if (!strcmp(name, "dump")) {
        cmd_dump(argc, argv);
    } else if (!strcmp(name, "write")) {
        cmd_write(argc, argv);
    } else if (!strcmp(name, "off")) {
        printf("power off\n");
        power_off();
    } else if (!strcmp(name, "reset")) {
        printf("reset\n");
        psci_call(PSCI_SYSTEM_RESET, 0, 0, 0);
    } else {
        printf("%s: no such command; 'help' lists them\n", name);
    }
}

static void banner(void)
{
    u64 hz = MRS(cntfrq_el0);
    printf("\n"
           "   )\\  |  /(\n"
           "  (  \\ | /  )    Lyrebird monitor\n");
    printf("   \\  \\|/  /     %s at EL%lu, %lu MiB RAM, GICv%u, counter %lu.%lu MHz\n", cpu_name(),
           MRS(currentel) >> 2 & 3, board.memory_size >> 20, board.gic, hz / 1000000, hz / 100000 % 10);
    printf("    '-.|.-'      'help' lists the commands, 'test' checks the CPU, 'off' powers off.\n"
           "       V\n\n");
}

void rom_main(void)
{
    mmu_on();
    gic_init();
    trap_hooks[TRAP_IRQ] = on_irq;
    boot_counter = MRS(cntvct_el0);
    tick_interval = MRS(cntfrq_el0) / TICK_HZ;
    MSR(cntv_cval_el0, boot_counter + tick_interval);
    MSR(cntv_ctl_el0, 1);
    gic_enable(PPI_VTIMER, 0x80);
    uart_irq_enable();
    gic_enable(UART_INTID, 0xa0);
    IRQ_ON();
    banner();
    for (;;) {
        char line[LINE_MAX];
        if (read_line("lyrebird> ", line))
            run(line);
    }
}
