// What the ROMs want of the flattened device tree (Devicetree Specification, chapter 5).

#include "rom.h"

struct board board;

enum { FDT_BEGIN_NODE = 1, FDT_END_NODE, FDT_PROP, FDT_NOP, FDT_END = 9 };
#define FDT_MAGIC 0xd00dfeed

static u32 be32(u64 p)
{
    return __builtin_bswap32(*(const u32 *)p);
}

static u64 be64(u64 p)
{
    return (u64)be32(p) << 32 | be32(p + 4);
}

// Whether a string list has a string.
static bool lists(const char *list, u32 len, const char *s)
{
    for (const char *p = list; p < list + len; p += strlen(p) + 1)
        if (!strcmp(p, s))
            return true;
    return false;
}

static void copy(char *to, size_t size, const char *from, u32 len)
{
    size_t n = len < size ? len : size - 1;
    memcpy(to, from, n);
    to[n] = 0;
}

void fdt_read(u64 dtb)
{
    // What holds where there is no tree.
    board = (struct board){ .model = "unknown", .memory_base = 0x40000000, .memory_size = 0x4000000, .cpus = 1,
                            .gic = 2, .gicd = 0x08000000, .gicc = 0x08010000, .gicr = 0x080a0000 };
    // QEMU passes no address to an ELF file; the tree is at the start of RAM.
    if (!dtb)
        dtb = 0x40000000;
    if (be32(dtb) != FDT_MAGIC)
        return;
    board.dtb = dtb;
    board.cpus = 0;
    u64 p = dtb + be32(dtb + 8), strings = dtb + be32(dtb + 12);
    int depth = 0;
    bool memory = false, gic = false;
    u64 reg[4] = { 0 };
    for (;;) {
        u32 token = be32(p);
        p += 4;
        if (token == FDT_BEGIN_NODE) {
            depth++;
            memory = gic = false;
            p = (p + strlen((const char *)p) + 4) & ~3ull;
        } else if (token == FDT_END_NODE) {
            depth--;
            memory = gic = false;
        } else if (token == FDT_PROP) {
            u32 len = be32(p);
            const char *name = (const char *)(strings + be32(p + 4)), *value = (const char *)p + 8;
            if (!strcmp(name, "compatible")) {
                if (depth == 1)
                    copy(board.model, sizeof board.model, value, (u32)strlen(value));
                gic = true;
                if (lists(value, len, "arm,gic-v3"))
                    board.gic = 3;
                else if (lists(value, len, "arm,cortex-a15-gic") || lists(value, len, "arm,gic-400"))
                    board.gic = 2;
                else
                    gic = false;
            } else if (!strcmp(name, "device_type")) {
                memory = lists(value, len, "memory");
                board.cpus += lists(value, len, "cpu");
            } else if (!strcmp(name, "bootargs")) {
                copy(board.bootargs, sizeof board.bootargs, value, len);
            } else if (!strcmp(name, "reg")) {
                for (u32 i = 0; i < 4 && i < len / 8; i++)
                    reg[i] = be64(p + 8 + 8 * i);
            }
            p = (p + 8 + len + 3) & ~3ull;
        } else if (token != FDT_NOP) {
            break;
        }
        // `reg` may come before or after what says whose it is.
        if (memory && reg[1]) {
            board.memory_base = reg[0];
            board.memory_size = reg[1];
        }
        if (gic && reg[2]) {
            board.gicd = reg[0];
            *(board.gic == 3 ? &board.gicr : &board.gicc) = reg[2];
        }
        if (token == FDT_BEGIN_NODE || token == FDT_END_NODE)
            reg[0] = reg[1] = reg[2] = reg[3] = 0;
    }
}
