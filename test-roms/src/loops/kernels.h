// Kernels in plain C: the same sources give the expected results on any host (see main.c).
#pragma once

#include <stdint.h>

struct kernel {
    const char *name;
    uint64_t (*run)(void);
};
#define KERNELS 13
extern const struct kernel kernels[KERNELS];
