/* The canonical form of a path of the log, by which two spellings of a file are one. */
#include "delta/log/path.h"

#include <ctype.h>
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void append_decoded(const char *s, size_t n, Text *out)
{
    if (memchr(s, '%', n) == NULL) {
        text_append_n(out, s, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int high = s[i] == '%' && i + 2 < n ? hex_value(s[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s[i + 2]) : -1;
        if (low >= 0) {
            text_append_char(out, (char)(high * 16 + low));
            i += 2;
        } else {
            text_append_char(out, s[i]);
        }
    }
}

/* Length of "scheme:" at the start, or 0. One letter is no scheme. */
static size_t scheme_length(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && (isalnum((unsigned char)s[i]) || strchr("+-.", s[i]) != NULL)) {
        i++;
    }
    return i > 1 && i < n && s[i] == ':' && isalpha((unsigned char)s[0]) ? i + 1 : 0;
}

/* "file:/a", "file:///a", "file://host/a" -> "/a" */
static void skip_file_scheme(const char **path, size_t *n)
{
    const char *s = *path + strlen("file:");
    const char *end = *path + *n;

    if (end - s >= 2 && s[0] == '/' && s[1] == '/') {
        s += 2;
        while (s < end && *s != '/') {
            s++;
        }
    }
    *n = (size_t)(end - s);
    *path = s;
}

void delta_path_canonical(const char *root, const char *path, size_t n, Text *out)
{
    size_t scheme = scheme_length(path, n), root_length = strlen(root);

    if (scheme == 0 && (n == 0 || path[0] != '/')) {
        append_decoded(path, n, out);
        return;
    }
    if (scheme == strlen("file:") && str_istarts(path, "file:")) {
        skip_file_scheme(&path, &n);
    }
    size_t start = out->length;
    append_decoded(path, n, out);
    size_t length = out->length - start;
    if (length > root_length && memcmp(out->data + start, root, root_length) == 0 &&
        out->data[start + root_length] == '/') {
        size_t keep = length - root_length - 1;
        memmove(out->data + start, out->data + start + root_length + 1, keep + 1);
        out->length = start + keep;
    }
}

bool delta_path_is_inside(const char *canonical)
{
    size_t n = strlen(canonical), scheme = scheme_length(canonical, n);

    if (n == 0 || canonical[0] == '/' || (scheme > 0 && canonical[scheme] == '/')) {
        return false;
    }
    for (const char *s = canonical; *s != '\0';) {
        size_t segment = strcspn(s, "/");
        if ((segment == 1 && s[0] == '.') || (segment == 2 && s[0] == '.' && s[1] == '.')) {
            return false;
        }
        s += segment + (s[segment] == '/');
    }
    for (const char *s = canonical; *s != '\0'; s++) {
        if (iscntrl((unsigned char)*s)) {
            return false;
        }
    }
    return true;
}
