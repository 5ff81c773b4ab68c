// Three small kernels, timed with the counter.

#include "monitor.h"

static u64 mix(u64 n)
{
    u64 a = 0x9e3779b97f4a7c15, b = 1;
    for (u64 i = 0; i < n; i++) {
        a ^= a << 13;
        a ^= a >> 7;
        a ^= a << 17;
        b = b * 31 + (a >> 40);
    }
    return b;
}

static u64 sieve(u64 n)
{
    static u8 composite[16384];
    u64 primes = 0;
    for (u64 round = 0; round < n; round++) {
        memset(composite, 0, sizeof composite);
        primes = 0;
        for (u64 i = 2; i < sizeof composite; i++) {
            if (composite[i])
                continue;
            primes++;
            for (u64 j = i * i; j < sizeof composite; j += i)
                composite[j] = 1;
        }
    }
    return primes;
}

static __attribute__((noinline)) u64 fib(u64 n)
{
    // Not folded into a loop by the compiler.
    asm volatile("" : "+r"(n));
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static u64 fibs(u64 n)
{
    u64 v = 0;
    while (n--)
        v = fib(20);
    return v;
}

void cmd_bench(void)
{
    static const struct {
        const char *name;
        u64 (*f)(u64);
        u64 n, want;
    } kernels[] = {
        { "shift, xor, multiply", mix, 10000000, 0 },
        { "sieve of 16384", sieve, 200, 1900 },
        { "calls: fib(20)", fibs, 500, 6765 },
    };
    u64 hz = MRS(cntfrq_el0), total = 0;
    printf("  kernel                 iterations  counter ticks         ms   result\n");
    for (unsigned i = 0; i < ARRAY_LEN(kernels); i++) {
        ISB();
        u64 start = MRS(cntvct_el0), got = kernels[i].f(kernels[i].n);
        ISB();
        u64 ticks = MRS(cntvct_el0) - start, us = ticks * 1000000 / hz;
        total += us;
        printf("  %-22s %10lu %14lu %8lu.%01lu   %lx", kernels[i].name, kernels[i].n, ticks, us / 1000,
               us / 100 % 10, got);
        if (kernels[i].want && kernels[i].want != got)
            printf("  WRONG, want %lx", kernels[i].want);
        printf("\n");
        if (interrupted()) {
            printf("^C\n");
            return;
        }
    }
    printf("  %lu.%01lu ms in all\n", total / 1000, total / 100 % 10);
}
