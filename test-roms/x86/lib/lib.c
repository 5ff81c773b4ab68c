// Console, strings, PASS and FAIL lines.

#include "rom.h"

static void putc(char c)
{
    while (!(inb(0x3fd) & 0x20)) {
    }
    outb(0x3f8, (u8)c);
}

static void out(const char *s)
{
    for (; *s; s++) {
        if (*s == '\n')
            putc('\r');
        putc(*s);
    }
}

// %s %c %u %x %lx %%
int printf(const char *f, ...)
{
    va_list args;
    va_start(args, f);
    char text[24];
    for (; *f; f++) {
        char one[2] = {*f, 0};
        if (*f != '%') {
            out(one);
            continue;
        }
        bool wide = f[1] == 'l';
        f += wide ? 2 : 1;
        unsigned at = sizeof text - 1;
        text[at] = 0;
        switch (*f) {
        case 's':
            out(va_arg(args, const char *));
            break;
        case 'c':
            one[0] = (char)va_arg(args, int);
            out(one);
            break;
        case 'u': {
            u32 v = va_arg(args, u32);
            do
                text[--at] = (char)('0' + v % 10);
            while (v /= 10);
            out(text + at);
            break;
        }
        case 'x': {
            u64 v = wide ? va_arg(args, u64) : va_arg(args, u32);
            do
                text[--at] = "0123456789abcdef"[v & 15];
            while (v >>= 4);
            out(text + at);
            break;
        }
        default:
            one[0] = *f;
            out(one);
        }
    }
    va_end(args);
    return 0;
}

void *memset(void *d, int c, size_t n)
{
    u8 *p = d;
    while (n--)
        *p++ = (u8)c;
    return d;
}

void *memcpy(void *restrict d, const void *restrict s, size_t n)
{
    u8 *p = d;
    const u8 *q = s;
    while (n--)
        *p++ = *q++;
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *p = a, *q = b;
    for (; n--; p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

_Noreturn void power_off(void)
{
    // The characters have to be out.
    while (!(inb(0x3fd) & 0x40)) {
    }
    // PM1_CNT: sleep in S5. Else isa-debug-exit.
    outw(0x604, 0x2000);
    outb(0xf4, 0);
    for (;;)
        asm volatile("cli; hlt");
}

// ---- Tests

static unsigned passed, failed, skipped, failures;
static const char *name, *why_skipped, *lacking;

void test_begin(const char *n)
{
    name = n;
    why_skipped = lacking = NULL;
    failures = 0;
}

bool test_check(u64 got, u64 want, const char *what, unsigned line)
{
    if (got == want)
        return true;
    if (lacking && on_tcg) {
        why_skipped = lacking;
        return false;
    }
    // The first one says most.
    if (!failures++)
        printf("FAIL %s: %s (line %u): got 0x%lx want 0x%lx\n", name, what, line, got, want);
    return false;
}

void test_skip(const char *why)
{
    why_skipped = why;
}

void qemu_lacks(const char *why)
{
    lacking = why;
}

void test_end(void)
{
    if (failures) {
        failed++;
    } else if (why_skipped) {
        skipped++;
        printf("SKIP %s: %s\n", name, why_skipped);
    } else {
        passed++;
        printf("PASS %s\n", name);
    }
}

void tests_report(void)
{
    printf("%u passed, %u failed", passed, failed);
    if (skipped)
        printf(", %u skipped", skipped);
    printf("\n");
    passed = failed = skipped = 0;
}

_Noreturn void tests_finish(void)
{
    tests_report();
    power_off();
}
