#include "source/json_text.h"

#include "base/text.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four hexadecimal digits of \uXXXX, or -1. */
static int hex4(const char *p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(p[i]);
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

static bool is_high_surrogate(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* p at a backslash: behind the escape, or NULL. A surrogate must have its partner. */
static const char *check_escape(const char *p, JsonFault *fault)
{
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return p + 2;
    case 'u': break;
    default: return json_text_fault(fault, p, "unknown escape in a string");
    }
    int unit = hex4(p + 2);
    if (unit < 0) {
        return json_text_fault(fault, p, "\\u needs four hexadecimal digits");
    }
    if (is_low_surrogate(unit)) {
        return json_text_fault(fault, p, "half of a surrogate pair in a string");
    }
    if (!is_high_surrogate(unit)) {
        return p + 6;
    }
    if (p[6] != '\\' || p[7] != 'u' || !is_low_surrogate(hex4(p + 8))) {
        return json_text_fault(fault, p, "half of a surrogate pair in a string");
    }
    return p + 12;
}

const char *json_text_string_slow(const char *start, const char *stop, unsigned high, JsonString *out, JsonFault *fault)
{
    bool escaped = false;

    while (*stop != '"') {
        if (*stop != '\\') {
            return json_text_fault(fault, stop,
                                   *stop == '\n' ? "the line ends inside a string" : "control character in a string");
        }
        escaped = true;
        stop = check_escape(stop, fault);
        if (stop == NULL) {
            return NULL;
        }
        stop = json_text_stop(stop, &high);
    }
    size_t n = (size_t)(stop - start);
    if (high != 0) {
        size_t valid = utf8_valid(start, n);
        if (valid < n) {
            return json_text_fault(fault, start + valid, "bytes that are not UTF-8");
        }
    }
    *out = (JsonString){start, n, escaped};
    return stop + 1;
}

static size_t put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* Resolves the escape at *p into `out`, moves *p behind it; returns the bytes written. */
static size_t resolve_escape(const char **p, char *out)
{
    static const char LETTERS[] = "bfnrt", BYTES[] = "\b\f\n\r\t";
    char c = (*p)[1];
    if (c != 'u') {
        const char *letter = strchr(LETTERS, c);
        *out = letter ? BYTES[letter - LETTERS] : c;
        *p += 2;
        return 1;
    }
    unsigned unit = (unsigned)hex4(*p + 2);
    *p += 6;
    if (is_high_surrogate((int)unit)) {
        unit = 0x10000 + ((unit - 0xD800) << 10) + ((unsigned)hex4(*p + 2) - 0xDC00);
        *p += 6;
    }
    return put_utf8(out, unit);
}

size_t json_text_unescape(const char *s, size_t n, char *out)
{
    const char *end = s + n;
    char *o = out;
    while (s < end) {
        const char *backslash = memchr(s, '\\', (size_t)(end - s));
        size_t run = (size_t)((backslash ? backslash : end) - s);
        memmove(o, s, run);
        o += run;
        s += run;
        if (backslash) {
            o += resolve_escape(&s, o);
        }
    }
    return (size_t)(o - out);
}

static const char *digits(const char *p)
{
    while (*p >= '0' && *p <= '9') {
        p++;
    }
    return p;
}

const char *json_text_number(const char *p, JsonFault *fault)
{
    const char *start = p;
    p += *p == '-';
    const char *whole = p;
    p = digits(p);
    if (p == whole || (*whole == '0' && p > whole + 1)) {
        return json_text_fault(fault, start, "not a number");
    }
    if (*p == '.') {
        const char *fraction = ++p;
        p = digits(p);
        if (p == fraction) {
            return json_text_fault(fault, start, "a number without digits after its point");
        }
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        const char *exponent = p;
        p = digits(p);
        if (p == exponent) {
            return json_text_fault(fault, start, "a number without digits in its exponent");
        }
    }
    return p;
}

static const char *skip_word(const char *p, const char *word, size_t n, JsonFault *fault)
{
    return strncmp(p, word, n) == 0 ? p + n : json_text_fault(fault, p, "expected a value");
}

/* Behind the container at p, whose members end with `close`; objects have keys. */
static const char *skip_container(const char *p, char close, int depth, JsonFault *fault)
{
    bool object = close == '}';
    JsonString key;

    if (depth <= 0) {
        return json_text_fault(fault, p, "nested too deeply");
    }
    p = json_text_space(p + 1);
    if (*p == close) {
        return p + 1;
    }
    for (;;) {
        if (object) {
            if (*p != '"') {
                return json_text_fault(fault, p, "expected a key");
            }
            p = json_text_string(p, &key, fault);
            if (p == NULL) {
                return NULL;
            }
            p = json_text_space(p);
            if (*p != ':') {
                return json_text_fault(fault, p, "expected ':' behind a key");
            }
            p = json_text_space(p + 1);
        }
        p = json_text_skip(p, depth - 1, fault);
        if (p == NULL) {
            return NULL;
        }
        p = json_text_space(p);
        if (*p == close) {
            return p + 1;
        }
        if (*p != ',') {
            return json_text_fault(fault, p,
                                   *p == '\n' ? "the line ends inside a value"
                                   : object   ? "expected ',' or '}'"
                                              : "expected ',' or ']'");
        }
        p = json_text_space(p + 1);
    }
}

const char *json_text_skip(const char *p, int depth, JsonFault *fault)
{
    JsonString string;
    switch (*p) {
    case '"': return json_text_string(p, &string, fault);
    case '{': return skip_container(p, '}', depth, fault);
    case '[': return skip_container(p, ']', depth, fault);
    case 't': return skip_word(p, "true", 4, fault);
    case 'f': return skip_word(p, "false", 5, fault);
    case 'n': return skip_word(p, "null", 4, fault);
    case '\n': return json_text_fault(fault, p, "the line ends where a value should be");
    default:
        if (*p == '-' || (*p >= '0' && *p <= '9')) {
            return json_text_number(p, fault);
        }
        return json_text_fault(fault, p, "expected a value");
    }
}
