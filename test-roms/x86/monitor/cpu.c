// What the CPU is and what its registers hold.

#include "monitor.h"

struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid v = {0};
    // A CPU without it keeps the ID flag.
    u32 old, new;
    asm volatile("pushfl; popl %0; movl %0, %1; xorl $0x200000, %1; pushl %1; popfl; pushfl; popl %1; pushl %0; popfl"
                 : "=&r"(old), "=&r"(new)::"cc", "memory");
    if ((old ^ new) & 0x200000)
        asm volatile("cpuid" : "=a"(v.a), "=b"(v.b), "=c"(v.c), "=d"(v.d) : "a"(leaf), "c"(subleaf));
    return v;
}

static void letters(u32 v)
{
    for (unsigned i = 0; i < 4; i++, v >>= 8)
        if (v & 0xff)
            printf("%c", v & 0xff);
}

struct feature {
    u8 bit;
    const char *name;
};

static void features(u32 value, const struct feature *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (value >> f[i].bit & 1)
            printf(" %s", f[i].name);
}

void cmd_info(void)
{
    printf("board    pc\n");
    printf("memory   640 KiB, and %u KiB from 1 MiB on\n", upper_kib);
    struct cpuid v = cpuid(0, 0), id = cpuid(1, 0);
    printf("CPU      ");
    if (v.a) {
        letters(v.b);
        letters(v.d);
        letters(v.c);
        printf(", family %u, model %u, stepping %u\n", id.a >> 8 & 15, (id.a >> 12 & 0xf0) | (id.a >> 4 & 15), id.a & 15);
        if (cpuid(0x80000000, 0).a >= 0x80000004) {
            printf("         ");
            for (u32 leaf = 0x80000002; leaf <= 0x80000004; leaf++) {
                struct cpuid n = cpuid(leaf, 0);
                letters(n.a);
                letters(n.b);
                letters(n.c);
                letters(n.d);
            }
            printf("\n");
        }
        printf("        ");
        static const struct feature in_d[] = {
            {0, "fpu"}, {1, "vme"}, {4, "tsc"}, {6, "pae"}, {9, "apic"}, {15, "cmov"}, {23, "mmx"}, {25, "sse"},
            {26, "sse2"},
        };
        static const struct feature in_c[] = {
            {0, "sse3"}, {9, "ssse3"}, {12, "fma"}, {19, "sse4.1"}, {20, "sse4.2"}, {22, "movbe"}, {23, "popcnt"},
            {25, "aes"}, {28, "avx"},
        };
        features(id.d, in_d, ARRAY_LEN(in_d));
        features(id.c, in_c, ARRAY_LEN(in_c));
        printf("\n");
    } else {
        printf("without CPUID\n");
    }
    printf("A20      %s\n", inb(0x92) & 2 ? "open by port 92" : "not opened by port 92");
    printf("timer    8254, interrupt at %u Hz by the 8259\n", TICK_HZ);
}

static void row(const char *name, u32 v, unsigned digits, const char *end)
{
    printf("%s ", name);
    hex(v, digits);
    printf("%s", end);
}

static void print_registers(struct registers *r)
{
    row("EAX", r->eax, 8, "  ");
    row("EBX", r->ebx, 8, "  ");
    row("ECX", r->ecx, 8, "  ");
    row("EDX", r->edx, 8, "\n");
    row("ESI", r->esi, 8, "  ");
    row("EDI", r->edi, 8, "  ");
    row("EBP", r->ebp, 8, "  ");
    // What the stub and the interrupt pushed.
    row("ESP", r->esp + 8, 8, "\n");
    row("CS", r->cs, 4, "  ");
    row("DS", r->ds, 4, "  ");
    row("ES", r->es, 4, "  ");
    row("SS", r->ss, 4, "  ");
    row("FS", r->fs, 4, "  ");
    row("GS", r->gs, 4, "  ");
    row("IP", r->ip, 4, "  ");
    row("FLAGS", r->flags, 4, "\n");
    struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) g, i;
    // With a 32-bit operand all of the base is stored.
    asm volatile("data32 sgdt %0; data32 sidt %1" : "=m"(g), "=m"(i));
    row("CR0", READ_REG("cr0"), 8, "  ");
    row("GDTR", g.base, 8, " ");
    row("limit", g.limit, 4, "  ");
    row("IDTR", i.base, 8, " ");
    row("limit", i.limit, 4, "\n");
}

void cmd_regs(void)
{
    hook = print_registers;
    asm volatile("int $0x60" ::: "memory");
    hook = NULL;
}
