/*
 * A compressor of the LZ77 kind with an adaptive binary range coder behind it, and its decompressor: the work that xz
 * and 7-Zip do, in little. Matches are found through chains of hashes.
 */
#include "bench.h"

#define PLAIN (192u << 10)
#define WINDOW_BITS 16
#define HASH_BITS 15
#define CHAIN 24
#define LEAST 3
#define MOST (LEAST + 255)

static u8 *plain, *packed, *unpacked;
static u64 packed_size;

/* --- text of words that some follow more often than others --- */

static void text_setup(void)
{
    static u8 words[512][12];
    plain = allocate(PLAIN);
    packed = allocate(PLAIN * 2);
    unpacked = allocate(PLAIN);
    u64 seed = 7;
    for (u64 i = 0; i < COUNT(words); i++) {
        u64 letters = 2 + random_next(&seed) % 9;
        for (u64 j = 0; j < letters; j++)
            words[i][j] = "etaoinshrdlucmfwypvbgkqjxz"[random_next(&seed) % 26 * (random_next(&seed) % 26) / 26];
        words[i][letters] = ' ';
    }
    u64 word = 0;
    for (u32 at = 0; at < PLAIN;) {
        u64 r = random_next(&seed);
        word = r & 3 ? (word * 7 + (r >> 8) % 5) % COUNT(words) : (r >> 8) % COUNT(words);
        for (const u8 *p = words[word]; *p && at < PLAIN; p++)
            plain[at++] = *p;
    }
}

/* --- the model: probabilities of bits, in 1/2048 --- */

struct model {
    u16 is_match[2];
    u16 literal[8][256];
    u16 length[256];
    u16 slot[64];
};

static struct model model;

static void model_reset(void)
{
    u16 *p = (u16 *)&model;
    for (u64 i = 0; i < sizeof model / sizeof *p; i++)
        p[i] = 1024;
}

static void adapt(u16 *probability, u32 bit) { *probability += bit ? -(*probability >> 5) : (2048 - *probability) >> 5; }

/* --- encoder --- */

struct encoder {
    u64 low;
    u32 range;
    u8 cache;
    u64 pending;
    u8 *out;
};

static void shift_low(struct encoder *e)
{
    if ((u32)e->low < 0xff000000u || e->low >> 32) {
        u8 carry = (u8)(e->low >> 32), byte = e->cache;
        do {
            *e->out++ = (u8)(byte + carry);
            byte = 0xff;
        } while (--e->pending);
        e->cache = (u8)(e->low >> 24);
    }
    e->pending++;
    e->low = (u64)((u32)e->low << 8);
}

static void encode(struct encoder *e, u16 *probability, u32 bit)
{
    u32 bound = (e->range >> 11) * *probability;
    if (bit) {
        e->low += bound;
        e->range -= bound;
    } else {
        e->range = bound;
    }
    adapt(probability, bit);
    while (e->range < 1u << 24) {
        e->range <<= 8;
        shift_low(e);
    }
}

static void encode_direct(struct encoder *e, u32 value, int bits)
{
    while (bits--) {
        e->range >>= 1;
        if (value >> bits & 1)
            e->low += e->range;
        while (e->range < 1u << 24) {
            e->range <<= 8;
            shift_low(e);
        }
    }
}

static void encode_tree(struct encoder *e, u16 *tree, int bits, u32 value)
{
    for (u32 node = 1; bits--;) {
        u32 bit = value >> bits & 1;
        encode(e, &tree[node], bit);
        node = node * 2 + bit;
    }
}

static int top_bit(u32 value)
{
    int n = 0;
    while (value >>= 1)
        n++;
    return n;
}

static u32 heads[1 << HASH_BITS], chain[1 << WINDOW_BITS];

static u32 hash_at(const u8 *p)
{
    return ((u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16) * 0x9e3779b1u >> (32 - HASH_BITS);
}

/* Positions count from 1: 0 ends a chain. */
static void enter(u32 at)
{
    u32 h = hash_at(plain + at);
    chain[at % (1 << WINDOW_BITS)] = heads[h];
    heads[h] = at + 1;
}

static u32 longest(u32 at, u32 *distance)
{
    u32 limit = PLAIN - at < MOST ? PLAIN - at : MOST, best = LEAST - 1;
    u32 other = heads[hash_at(plain + at)];
    for (int tries = CHAIN; tries && other && at - (other - 1) < 1 << WINDOW_BITS; tries--) {
        const u8 *a = plain + at, *b = plain + other - 1;
        if (best < limit && a[best] == b[best]) {
            u32 n = 0;
            while (n < limit && a[n] == b[n])
                n++;
            if (n > best) {
                best = n;
                *distance = at - (other - 1);
            }
        }
        other = chain[(other - 1) % (1 << WINDOW_BITS)];
    }
    return best;
}

OPAQUE static u64 pack_run(void)
{
    struct encoder e = { 0, ~0u, 0, 1, packed };
    model_reset();
    memset(heads, 0, sizeof heads);
    u32 matched = 0;
    for (u32 at = 0; at < PLAIN;) {
        u32 distance = 0, n = PLAIN - at > LEAST ? longest(at, &distance) : 0;
        if (n < LEAST) {
            encode(&e, &model.is_match[matched], 0);
            encode_tree(&e, model.literal[at ? plain[at - 1] >> 5 : 0], 8, plain[at]);
            matched = 0;
            n = 1;
        } else {
            int slot = top_bit(distance);
            encode(&e, &model.is_match[matched], 1);
            encode_tree(&e, model.length, 8, n - LEAST);
            encode_tree(&e, model.slot, 5, (u32)slot);
            encode_direct(&e, distance & ((1u << slot) - 1), slot);
            matched = 1;
        }
        for (; n; n--, at++)
            if (at + LEAST <= PLAIN)
                enter(at);
    }
    for (int i = 0; i < 5; i++)
        shift_low(&e);
    packed_size = (u64)(e.out - packed);
    return packed_size;
}

static u64 packed_sum(void) { return digest(DIGEST, packed, packed_size); }

/* --- decoder --- */

struct decoder {
    u32 range, code;
    const u8 *in;
};

static u32 decode(struct decoder *d, u16 *probability)
{
    u32 bound = (d->range >> 11) * *probability, bit = d->code >= bound;
    if (bit) {
        d->code -= bound;
        d->range -= bound;
    } else {
        d->range = bound;
    }
    adapt(probability, bit);
    while (d->range < 1u << 24) {
        d->range <<= 8;
        d->code = d->code << 8 | *d->in++;
    }
    return bit;
}

static u32 decode_direct(struct decoder *d, int bits)
{
    u32 value = 0;
    while (bits--) {
        d->range >>= 1;
        u32 bit = d->code >= d->range;
        d->code -= bit ? d->range : 0;
        value = value * 2 + bit;
        while (d->range < 1u << 24) {
            d->range <<= 8;
            d->code = d->code << 8 | *d->in++;
        }
    }
    return value;
}

static u32 decode_tree(struct decoder *d, u16 *tree, int bits)
{
    u32 node = 1;
    for (int i = 0; i < bits; i++)
        node = node * 2 + decode(d, &tree[node]);
    return node - (1u << bits);
}

static void unpack_setup(void)
{
    text_setup();
    pack_run();
}

OPAQUE static u64 unpack_run(void)
{
    struct decoder d = { ~0u, 0, packed };
    for (int i = 0; i < 5; i++)
        d.code = d.code << 8 | *d.in++;
    model_reset();
    u32 matched = 0;
    for (u32 at = 0; at < PLAIN;) {
        if (!decode(&d, &model.is_match[matched])) {
            unpacked[at] = (u8)decode_tree(&d, model.literal[at ? unpacked[at - 1] >> 5 : 0], 8);
            at++;
            matched = 0;
            continue;
        }
        u32 n = LEAST + decode_tree(&d, model.length, 8);
        int slot = (int)decode_tree(&d, model.slot, 5);
        u32 distance = 1u << (slot & 31) | decode_direct(&d, slot);
        /* A decoder that went wrong must end here. */
        if (distance > at || n > PLAIN - at)
            return 0;
        for (; n; n--, at++)
            unpacked[at] = unpacked[at - distance];
        matched = 1;
    }
    return (u64)(d.in - packed);
}

static u64 unpacked_sum(void)
{
    for (u32 i = 0; i < PLAIN; i++)
        if (unpacked[i] != plain[i])
            return 0;
    return digest(DIGEST, unpacked, PLAIN);
}

static void pack_finish(void)
{
    release(plain, PLAIN);
    release(packed, PLAIN * 2);
    release(unpacked, PLAIN);
}

const struct kernel pack_kernels[] = {
    { "pack", PLAIN * 1e-6, "MB", 0x4064ec78360a4261, pack_run, NULL, text_setup, pack_finish, packed_sum, "LZ77 and a range coder: compression of 192 KiB" },
    { "unpack", PLAIN * 1e-6, "MB", 0xfefb8531515e031c, unpack_run, NULL, unpack_setup, pack_finish, unpacked_sum, "its decompression" },
    { 0 },
};
