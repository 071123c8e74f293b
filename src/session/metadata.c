#include "session/metadata.h"

#include <ctype.h>
#include <string.h>

static const char NAME[] = "_metadata";

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80) != 0;
}

/* Behind the string or comment that begins at i; i when there is none. */
static size_t skip_quoted(const SqlText *text, size_t i)
{
    const char *s = text->data + i, *end = text->data + text->length, *stop = NULL;

    if (*s == '\'') {
        stop = memchr(s + 1, '\'', (size_t)(end - s) - 1);
    } else if (end - s > 1 && s[0] == '-' && s[1] == '-') {
        stop = memchr(s, '\n', (size_t)(end - s));
    } else if (end - s > 1 && s[0] == '/' && s[1] == '*') {
        stop = memmem(s + 2, (size_t)(end - s) - 2, "*/", 2);
        stop = stop ? stop + 1 : NULL;
    } else {
        return i;
    }
    return stop ? (size_t)(stop - text->data) + 1 : text->length;
}

/* Does `alias.` stand before byte i, or nothing of the kind? */
static bool may_be_of(const SqlText *text, size_t i, const char *alias)
{
    size_t n = strlen(alias);

    while (i > 0 && isspace((unsigned char)text->data[i - 1])) {
        i--;
    }
    if (i == 0 || text->data[i - 1] != '.') {
        return true;
    }
    i--;
    while (i > 0 && (isspace((unsigned char)text->data[i - 1]) || strchr("\"`", text->data[i - 1]) != NULL)) {
        i--;
    }
    return i >= n && strncasecmp(text->data + i - n, alias, n) == 0 && (i == n || !is_word(text->data[i - n - 1]));
}

/* `alias` NULL: of any relation */
static bool is_named(const SqlText *text, SqlSpan span, const char *alias)
{
    bool named = false;

    for (size_t i = 0; i < text->length;) {
        size_t next = skip_quoted(text, i);
        if (next > i) {
            i = next;
        } else if (text->data[i] == ';') {
            if (i >= span.begin) {
                break;
            }
            named = false;
            i++;
        } else if (is_word(text->data[i])) {
            size_t begin = i;
            while (i < text->length && is_word(text->data[i])) {
                i++;
            }
            bool same = i - begin == sizeof NAME - 1 && strncasecmp(text->data + begin, NAME, i - begin) == 0;
            named = named || (same && (alias == NULL || may_be_of(text, begin, alias)));
        } else {
            i++;
        }
    }
    return named;
}

bool metadata_is_named(const SqlText *text, SqlSpan span)
{
    return is_named(text, span, NULL);
}

bool metadata_is_named_for(const SqlText *text, SqlSpan span, const char *alias)
{
    return is_named(text, span, alias);
}

StreamOption metadata_option(void)
{
    return (StreamOption){.key = "freshet.withMetadata", .value = "true"};
}
