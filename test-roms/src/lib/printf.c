// printf: %c %s %d %u %x %p %%, flags - and 0, width (also *), precision for %s, l and ll.

#include "rom.h"

static int out(char c)
{
    if (c == '\n')
        uart_putc('\r');
    uart_putc(c);
    return 1;
}

static int pad(char c, int n)
{
    for (int i = 0; i < n; i++)
        out(c);
    return n > 0 ? n : 0;
}

static int field(const char *prefix, const char *s, int len, int width, bool left, bool zero)
{
    int plen = (int)strlen(prefix), fill = width - len - plen, n = 0;
    if (!left && !zero)
        n += pad(' ', fill);
    for (int i = 0; i < plen; i++)
        n += out(prefix[i]);
    if (!left && zero)
        n += pad('0', fill);
    for (int i = 0; i < len; i++)
        n += out(s[i]);
    if (left)
        n += pad(' ', fill);
    return n;
}

static int number(u64 v, unsigned base, const char *prefix, int width, bool left, bool zero)
{
    char digits[24];
    int at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    return field(prefix, digits + at, (int)sizeof digits - at, width, left, zero);
}

int vprintf(const char *f, va_list args)
{
    int n = 0;
    for (; *f; f++) {
        if (*f != '%') {
            n += out(*f);
            continue;
        }
        bool left = false, zero = false, wide = false;
        int width = 0, precision = -1;
        for (f++; *f == '-' || *f == '0'; f++) {
            left |= *f == '-';
            zero |= *f == '0';
        }
        if (*f == '*') {
            width = va_arg(args, int);
            f++;
        }
        for (; *f >= '0' && *f <= '9'; f++)
            width = width * 10 + *f - '0';
        if (*f == '.') {
            precision = 0;
            for (f++; *f >= '0' && *f <= '9'; f++)
                precision = precision * 10 + *f - '0';
        }
        for (; *f == 'l' || *f == 'z'; f++)
            wide = true;
        switch (*f) {
        case 'c': {
            char c = (char)va_arg(args, int);
            n += field("", &c, 1, width, left, false);
            break;
        }
        case 's': {
            const char *s = va_arg(args, const char *);
            int len = 0;
            while (s[len] && len != precision)
                len++;
            n += field("", s, len, width, left, false);
            break;
        }
        case 'd': {
            s64 v = wide ? va_arg(args, s64) : va_arg(args, int);
            n += number(v < 0 ? -(u64)v : (u64)v, 10, v < 0 ? "-" : "", width, left, zero);
            break;
        }
        case 'u':
        case 'x': {
            u64 v = wide ? va_arg(args, u64) : va_arg(args, unsigned);
            n += number(v, *f == 'x' ? 16 : 10, "", width, left, zero);
            break;
        }
        case 'p':
            n += number((u64)va_arg(args, void *), 16, "0x", width, left, zero);
            break;
        case 0:
            return n;
        default:
            n += out(*f);
        }
    }
    return n;
}

int printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vprintf(format, args);
    va_end(args);
    return n;
}
