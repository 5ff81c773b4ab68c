#pragma once

#include "../lib/rom.h"

#define FPSR_IOC 1
#define FPSR_DZC 2
#define FPSR_OFC 4
#define FPSR_UFC 8
#define FPSR_IXC 16
#define FPSR_IDC 128
#define FPSR_QC BIT(27)

#define FPCR_RMODE(n) ((u64)(n) << 22)
#define FPCR_FZ BIT(24)
#define FPCR_DN BIT(25)

void simd_tests(void);
void state_tests(void);
