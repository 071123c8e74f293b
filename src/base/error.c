/* The table of errors, and what is done to one on its way up. */
#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const ErrorDef ERROR_DEFS[ERROR_ID_COUNT] = {
    [E_NONE] = {"", OK, "", ""},
#define ERROR_DEF(id, code, status, klass, text) [E_##id] = {code, status, klass, text},
#include "base/errors.def"
#undef ERROR_DEF
};

/* Copies `s` into a field of `size` bytes; what does not fit is cut between characters and marked with "...". */
static void put(char *field, size_t size, const char *s, size_t n)
{
    static const char MARK[] = "...";

    if (n < size) {
        memmove(field, s, n);
        field[n] = '\0';
        return;
    }
    n = size - sizeof(MARK);
    while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80) {
        n--;
    }
    memmove(field, s, n);
    memcpy(field + n, MARK, sizeof(MARK));
}

/* Formats through a buffer of its own, because an argument may point into the field that is about to be written. */
__attribute__((format(printf, 3, 0))) static void format_into(char *field, size_t size, const char *format,
                                                              va_list args)
{
    char text[ERROR_TEXT_MAX + 8];
    int n = vsnprintf(text, sizeof(text), format, args);

    if (n < 0) {
        put(field, size, format, strlen(format));
        return;
    }
    put(field, size, text, strlen(text));
}

Status error_set(Error *err, ErrorId id, const char *format, ...)
{
    if (err) {
        char message[ERROR_TEXT_MAX];
        va_list args;
        va_start(args, format);
        format_into(message, sizeof(message), format, args);
        va_end(args);
        error_clear(err);
        err->id = id;
        put(err->message, sizeof(err->message), message, strlen(message));
    }
    return ERROR_DEFS[id].status;
}

Status error_context(Error *err, const char *format, ...)
{
    if (err && err->id != E_NONE) {
        char text[2 * ERROR_TEXT_MAX];
        va_list args;
        va_start(args, format);
        format_into(text, ERROR_TEXT_MAX, format, args);
        va_end(args);
        size_t n = strlen(text);
        n += (size_t)snprintf(text + n, sizeof(text) - n, ": %s", err->message);
        put(err->message, sizeof(err->message), text, n < sizeof(text) ? n : sizeof(text) - 1);
    }
    return error_status(err);
}

void error_hint(Error *err, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        format_into(err->hint, sizeof(err->hint), format, args);
        va_end(args);
    }
}

void error_klass(Error *err, const char *klass)
{
    if (err) {
        put(err->klass, sizeof(err->klass), klass, strlen(klass));
    }
}

void error_flag(Error *err, ErrorFlag flag)
{
    if (err) {
        err->flags |= (unsigned)flag;
    }
}

Status error_status(const Error *err)
{
    return err ? ERROR_DEFS[err->id].status : ERR_INTERNAL;
}

/* An Error is 6 KiB and set in many places, so only the first byte of each text is cleared. */
void error_clear(Error *err)
{
    if (err) {
        err->id = E_NONE;
        err->flags = 0;
        err->message[0] = err->hint[0] = err->klass[0] = '\0';
        err->place.file[0] = err->place.source[0] = '\0';
        err->place.line = err->place.column = err->place.length = 0;
    }
}

typedef struct ErrnoHint {
    int code;
    unsigned flags;
    const char *text;
} ErrnoHint;

static const ErrnoHint ERRNO_HINTS[] = {
    {ENOSPC, ERROR_RETRIABLE, "the disk is full; free some space and run it again"},
    {EDQUOT, ERROR_RETRIABLE, "the disk quota is used up; free some space and run it again"},
    {EROFS, 0, "the file system is mounted read-only"},
    {EACCES, 0, "check the owner and the permissions of the file and of every folder above it"},
    {EPERM, 0, "check the owner and the permissions of the file and of every folder above it"},
    {EMFILE, ERROR_RETRIABLE, "raise the limit of open files (ulimit -n)"},
    {ENFILE, ERROR_RETRIABLE, "the machine has too many open files"},
    {EFBIG, 0, "raise the limit of the file size (ulimit -f)"},
};

static void hint_errno(Error *err, const ErrnoHint *hint)
{
    error_hint(err, "%s", hint->text);
    err->flags |= hint->flags;
}

Status error_errno(Error *err, const char *format, ...)
{
    int code = errno;
    ErrorId id = code == ENOENT ? E_IO_NOT_FOUND : E_IO;

    if (err) {
        char context[ERROR_TEXT_MAX / 2];
        va_list args;
        va_start(args, format);
        format_into(context, sizeof(context), format, args);
        va_end(args);
        error_set(err, id, "%s: %s", context, strerror(code));
        for (size_t i = 0; i < sizeof(ERRNO_HINTS) / sizeof(*ERRNO_HINTS); i++) {
            if (ERRNO_HINTS[i].code == code) {
                hint_errno(err, &ERRNO_HINTS[i]);
            }
        }
    }
    errno = code;
    return ERROR_DEFS[id].status;
}

void error_errno_said(Error *err)
{
    size_t n = err != NULL ? strlen(err->message) : 0;

    for (size_t i = 0; i < sizeof(ERRNO_HINTS) / sizeof(*ERRNO_HINTS); i++) {
        const char *said = strerror(ERRNO_HINTS[i].code);
        if (n > strlen(said) + 2 && strcmp(err->message + n - strlen(said), said) == 0) {
            hint_errno(err, &ERRNO_HINTS[i]);
            return;
        }
    }
}

enum { NEAREST_MAX = 64 };

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b; letter case costs nothing. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][NEAREST_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= nb; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= na; i++) {
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            size_t best = above[j - 1] + (x != y);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && y == tolower((unsigned char)a[i - 2])) {
                best = before[j - 2] + 1 < best ? before[j - 2] + 1 : best;
            }
            row[j] = best;
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[nb];
}

const char *error_nearest(const char *word, const char *const *names, size_t n)
{
    size_t length = strlen(word);
    size_t best = length / 3 + 1;
    const char *nearest = NULL;

    if (length > NEAREST_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(names[i]);
        if (other <= NEAREST_MAX) {
            size_t distance = edit_distance(word, length, names[i], other);
            if (distance < best) {
                best = distance;
                nearest = names[i];
            }
        }
    }
    return nearest;
}
