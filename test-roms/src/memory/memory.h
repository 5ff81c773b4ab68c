#pragma once

#include "../lib/rom.h"

// Two adjacent pages, EDGE being where they meet, on physical pages that are not adjacent; and a second pair of which the
// second page can be taken away.
#define EDGE (TEST_VA + 0x11000)
#define CLIFF (TEST_VA + 0x21000)

void set_pte(u64 va, u64 desc);

void atomic_tests(void);
