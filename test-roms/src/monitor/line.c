// Line editing: backspace, Ctrl-C, Ctrl-U, up and down through what was typed before. Words and numbers. The monitors of
// both boards have this file; each has a `monitor.h` of its own.

#include <monitor.h>

#define HISTORY 16

static char history[HISTORY][LINE_MAX];
static unsigned lines;

static void erase(unsigned n)
{
    while (n--)
        printf("\b \b");
}

static unsigned show(char line[LINE_MAX], unsigned len, const char *text)
{
    erase(len);
    len = (unsigned)strlen(text);
    memcpy(line, text, len + 1);
    printf("%s", line);
    return len;
}

bool read_line(const char *prompt, char line[LINE_MAX])
{
    static bool after_cr;
    unsigned len = 0, at = lines, oldest = lines > HISTORY ? lines - HISTORY : 0;
    printf("%s", prompt);
    for (;;) {
        int c = console_getc();
        // A terminal sends CR, a file LF, some both.
        if (c == '\n' && after_cr) {
            after_cr = false;
            continue;
        }
        after_cr = c == '\r';
        if (c == '\r' || c == '\n') {
            printf("\n");
            line[len] = 0;
            if (len && (!lines || strcmp(history[(lines - 1) % HISTORY], line)))
                memcpy(history[lines++ % HISTORY], line, len + 1);
            return true;
        }
        if (c == 3) {
            printf("^C\n");
            return false;
        }
        if (c == 0x15) {
            erase(len);
            len = 0;
        } else if (c == 8 || c == 0x7f) {
            if (len) {
                erase(1);
                len--;
            }
        } else if (c == 0x1b) {
            // Cursor keys: ESC [ A, or ESC O A.
            int second = console_getc();
            if (second != '[' && second != 'O')
                continue;
            int third = console_getc();
            if (third == 'A' && at > oldest) {
                len = show(line, len, history[--at % HISTORY]);
            } else if (third == 'B' && at < lines) {
                at++;
                len = show(line, len, at == lines ? "" : history[at % HISTORY]);
            }
        } else if (c >= 0x20 && c < 0x7f && len + 1 < LINE_MAX) {
            line[len++] = (char)c;
            printf("%c", c);
        }
    }
}

bool parse_number(const char *s, number *value)
{
    unsigned base = 16;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
        s += 2;
    else if (s[0] == '#')
        base = 10, s++;
    if (!*s)
        return false;
    number v = 0;
    for (; *s; s++) {
        unsigned d = *s >= '0' && *s <= '9'   ? (unsigned)(*s - '0')
                     : *s >= 'a' && *s <= 'f' ? (unsigned)(*s - 'a') + 10
                     : *s >= 'A' && *s <= 'F' ? (unsigned)(*s - 'A') + 10
                     : *s == '_'              ? 99
                                              : 100;
        if (d == 99)
            continue;
        if (d >= base || v > ((number)-1 - d) / base)
            return false;
        v = v * base + d;
    }
    *value = v;
    return true;
}

int split_words(char *line, char **words, int room)
{
    int n = 0;
    for (char *p = line; *p;) {
        while (*p == ' ' || *p == '\t')
            *p++ = 0;
        if (!*p)
            break;
        if (n == room) {
            printf("too many words\n");
            return 0;
        }
        words[n++] = p;
        while (*p && *p != ' ' && *p != '\t')
            p++;
    }
    return n;
}
