#pragma once

#include "../lib/rom.h"

// Data and instruction aborts.
void abort_tests(void);
