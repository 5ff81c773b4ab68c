// PASS and FAIL lines.

#include "rom.h"

unsigned tests_passed, tests_failed, tests_skipped;
static const char *name;
static const char *skipped;
static unsigned failures;

void test_begin(const char *n)
{
    name = n;
    skipped = NULL;
    failures = 0;
}

bool test_check(u64 got, u64 want, const char *what)
{
    if (got == want)
        return true;
    // The first one says most.
    if (!failures++)
        printf("FAIL %s: %s: got 0x%lx want 0x%lx\n", name, what, got, want);
    return false;
}

void test_skip(const char *why)
{
    skipped = why;
}

void test_end(void)
{
    if (failures) {
        tests_failed++;
    } else if (skipped) {
        tests_skipped++;
        printf("SKIP %s: %s\n", name, skipped);
    } else {
        tests_passed++;
        printf("PASS %s\n", name);
    }
}

_Noreturn void tests_finish(void)
{
    printf("%u passed, %u failed", tests_passed, tests_failed);
    if (tests_skipped)
        printf(", %u skipped", tests_skipped);
    printf("\n");
    power_off();
}
