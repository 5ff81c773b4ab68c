// Hot integer loops, checked against what the same C gives on another machine (x86-64, Debian's gcc, -O1).

#include "../lib/rom.h"
#include "kernels.h"

static const u64 want[KERNELS] = {
    0x0000000030a974d6, // CRC-32
    0x34f7227ca464d168, // SHA-256
    0x0933542f81b77b79, // quicksort
    0x0933542f81b77b79, // heapsort
    0x2336ebc08d586968, // matrix
    0x0000000000012511, // Fibonacci
    0x08c17a620aa4d4cb, // strings
    0x4e44c7bf41cb6aa7, // state machine
    0xd12fb1eddc494d74, // bytecode
    0x000000000000198e, // sieve
    0x0000000000000160, // queens
    0x00000133000067ff, // Collatz
    0x6df522354948b54c, // indirect calls
};

void rom_main(void)
{
    mmu_on();
    for (unsigned i = 0; i < KERNELS; i++)
        TEST(kernels[i].name, EQ(kernels[i].run(), want[i]));
    tests_finish();
}
