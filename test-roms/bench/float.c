/* Floating point: linpack and bodies under gravity. Products are not contracted, so that all machines agree to the bit. */
#include "bench.h"
VECTORS

/* --- linpack: LU with partial pivoting, column by column, and the solution (DGEFA, DGESL) --- */

static u64 order;
static double *pristine, *matrix, *side;
static u32 *pivots;

static double magnitude(double x) { return x < 0 ? -x : x; }

static void linpack_setup(u64 n)
{
    order = n;
    pristine = allocate(n * n * sizeof(double));
    matrix = allocate(n * n * sizeof(double));
    side = allocate(n * sizeof(double));
    pivots = allocate(n * sizeof(u32));
    u64 seed = 8;
    for (u64 i = 0; i < n * n; i++)
        pristine[i] = (double)(long)(random_next(&seed) >> 11) * 0x1p-52 - 1;
}

static void linpack200_setup(void) { linpack_setup(200); }
static void linpack500_setup(void) { linpack_setup(500); }

/* The right side is the sum of the columns: the solution is all ones. */
static void linpack_prepare(void)
{
    for (u64 i = 0; i < order; i++)
        side[i] = 0;
    for (u64 j = 0; j < order; j++)
        for (u64 i = 0; i < order; i++) {
            matrix[j * order + i] = pristine[j * order + i];
            side[i] += pristine[j * order + i];
        }
}

OPAQUE static void daxpy(u64 n, double factor, const double *restrict x, double *restrict y)
{
    for (u64 i = 0; i < n; i++)
        y[i] += factor * x[i];
}

OPAQUE static u64 linpack_run(void)
{
    u64 n = order;
    for (u64 k = 0; k < n; k++) {
        double *column = matrix + k * n;
        u64 best = k;
        for (u64 i = k + 1; i < n; i++)
            if (magnitude(column[i]) > magnitude(column[best]))
                best = i;
        pivots[k] = (u32)best;
        double pivot = column[best];
        column[best] = column[k];
        column[k] = pivot;
        double factor = -1 / pivot;
        for (u64 i = k + 1; i < n; i++)
            column[i] *= factor;
        for (u64 j = k + 1; j < n; j++) {
            double *other = matrix + j * n, t = other[best];
            other[best] = other[k];
            other[k] = t;
            daxpy(n - k - 1, t, column + k + 1, other + k + 1);
        }
    }
    for (u64 k = 0; k < n; k++) {
        double t = side[pivots[k]];
        side[pivots[k]] = side[k];
        side[k] = t;
        daxpy(n - k - 1, t, matrix + k * n + k + 1, side + k + 1);
    }
    for (u64 k = n; k--;) {
        side[k] /= matrix[k * n + k];
        daxpy(k, -side[k], matrix + k * n, side);
    }
    return 0;
}

/* 0 where the solution is not near the right one. */
static u64 linpack_sum(void)
{
    for (u64 i = 0; i < order; i++)
        if (!(magnitude(side[i] - 1) < 1e-8))
            return 0;
    return digest(DIGEST, side, order * sizeof(double));
}

static void linpack_finish(void)
{
    release(pristine, order * order * sizeof(double));
    release(matrix, order * order * sizeof(double));
    release(side, order * sizeof(double));
    release(pivots, order * sizeof(u32));
}

/* --- bodies under gravity: additions, products, square roots, divisions, in chains --- */

#define BODIES 8
#define MOVES 2000

static double place[BODIES][3], speed[BODIES][3], mass[BODIES];

static double square_root(double x)
{
#ifdef __x86_64__
    __asm__("sqrtsd %1, %0" : "=x"(x) : "x"(x));
#else
    __asm__("fsqrt %d0, %d1" : "=w"(x) : "w"(x));
#endif
    return x;
}

static void bodies_prepare(void)
{
    u64 seed = 9;
    for (int i = 0; i < BODIES; i++) {
        mass[i] = (double)(long)(random_next(&seed) >> 12) * 0x1p-52 + 0.1;
        for (int j = 0; j < 3; j++) {
            place[i][j] = (double)(long)(random_next(&seed) >> 12) * 0x1p-48 - 8;
            speed[i][j] = (double)(long)(random_next(&seed) >> 12) * 0x1p-54 - 0.125;
        }
    }
}

OPAQUE static u64 bodies_run(void)
{
    for (int move = 0; move < MOVES; move++) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++) {
                double x = place[i][0] - place[j][0], y = place[i][1] - place[j][1], z = place[i][2] - place[j][2];
                double square = x * x + y * y + z * z + 0.01;
                double pull = 0.001 / (square * square_root(square));
                speed[i][0] -= x * mass[j] * pull;
                speed[i][1] -= y * mass[j] * pull;
                speed[i][2] -= z * mass[j] * pull;
                speed[j][0] += x * mass[i] * pull;
                speed[j][1] += y * mass[i] * pull;
                speed[j][2] += z * mass[i] * pull;
            }
        for (int i = 0; i < BODIES; i++)
            for (int j = 0; j < 3; j++)
                place[i][j] += 0.001 * speed[i][j];
    }
    return digest(DIGEST, place, sizeof place);
}

#define LINPACK(n) ((2.0 / 3 * (n) * (n) * (n) + 2.0 * (n) * (n)) * 1e-6)

const struct kernel float_kernels[] = {
    { "linpack200", LINPACK(200), "Mflop", 0x6a43502d26b20971, linpack_run, linpack_prepare, linpack200_setup, linpack_finish, linpack_sum, "a dense system of 200 equations: 2/3 n^3 + 2 n^2 operations" },
    { "linpack500", LINPACK(500), "Mflop", 0x2592cc6dd2ace102, linpack_run, linpack_prepare, linpack500_setup, linpack_finish, linpack_sum, "the same of 500" },
    { "nbody", MOVES * 1e-6, "Mmoves", 0x79c9899c4ce8cf70, bodies_run, bodies_prepare, NULL, NULL, NULL, "8 bodies under gravity: 28 square roots and divisions per move" },
    { 0 },
};
