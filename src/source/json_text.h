/* JSON as text: finding where a value ends and whether it is one, without building anything.
 *
 * A record is one line. Every text handed in ends with '\n' (legal nowhere inside a record, so every loop stops there)
 * followed by at least JSON_PAD readable bytes (so that sixteen bytes may be looked at anywhere). White space is
 * therefore blank, tab and carriage return.
 */
#ifndef FRESHET_SOURCE_JSON_TEXT_H
#define FRESHET_SOURCE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { JSON_PAD = 64, JSON_RECORD_DEPTH = 128 };

/* Why a text is not JSON: a static sentence, and where. */
typedef struct JsonFault {
    const char *why, *at;
} JsonFault;

static inline const char *json_text_fault(JsonFault *fault, const char *at, const char *why)
{
    fault->why = why;
    fault->at = at;
    return NULL;
}

static inline const char *json_text_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r') {
        p++;
    }
    return p;
}

/* True for what may follow a value: so a scalar that was read in a hurry ended where it should. */
static inline bool json_text_ends(char c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The first byte from p on that a string cannot just pass over: quote, backslash or control character. *high collects
 * whether bytes above 0x7f were passed. */
static inline const char *json_text_stop(const char *p, unsigned *high)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    for (;; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)),
                                    _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
        unsigned stops = (unsigned)_mm_movemask_epi8(stop), highs = (unsigned)_mm_movemask_epi8(v);
        if (stops != 0) {
            unsigned i = (unsigned)__builtin_ctz(stops);
            *high |= highs & ((1u << i) - 1);
            return p + i;
        }
        *high |= highs;
    }
#else
    for (;; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\' || c < 0x20) {
            return p;
        }
        *high |= c & 0x80u;
    }
#endif
}

/* A string as it stands in the text, without its quotes. */
typedef struct JsonString {
    const char *s;
    size_t n;
    bool escaped; /* holds backslashes: see json_text_unescape */
} JsonString;

/* The rest of json_text_string once `stop` is not the plain end of a plain string. */
const char *json_text_string_slow(const char *start, const char *stop, unsigned high, JsonString *out,
                                  JsonFault *fault);

/* Reads a string: p at the opening quote, returns behind the closing one, NULL when it is broken. Escapes and UTF-8
 * are checked. */
static inline const char *json_text_string(const char *p, JsonString *out, JsonFault *fault)
{
    unsigned high = 0;
    const char *start = p + 1, *stop = json_text_stop(start, &high);
    if (*stop == '"' && high == 0) {
        *out = (JsonString){start, (size_t)(stop - start), false};
        return stop + 1;
    }
    return json_text_string_slow(start, stop, high, out, fault);
}

/* Writes the string with its escapes resolved to `out` (room for n bytes); returns its length. The string was checked
 * before. */
size_t json_text_unescape(const char *s, size_t n, char *out);

/* Behind a number that follows JSON's grammar; NULL and a fault otherwise. */
const char *json_text_number(const char *p, JsonFault *fault);

/* Behind the value at p, which is checked completely; `depth` containers may still open inside. */
const char *json_text_skip(const char *p, int depth, JsonFault *fault);

#endif
