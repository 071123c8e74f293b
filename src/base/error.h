/* Errors: one value that says what went wrong, where, what to do, and whether a retry makes sense.
 *
 * Every function that can fail returns a Status and takes an Error as its last argument. On failure the outputs are
 * untouched and the Error is set; on success the Error is untouched. Each kind of error has one line in errors.def:
 * its stable code (FR-DELTA-004), its status, the Delta or Spark error class where users know one, and a sentence for
 * the manual.
 */
#ifndef FRESHET_BASE_ERROR_H
#define FRESHET_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum Status {
    OK = 0,
    ERR_USAGE,       /* the command line or an option is wrong */
    ERR_INVALID,     /* the user's statement, data or configuration is wrong */
    ERR_NOT_FOUND,   /* something named does not exist */
    ERR_EXISTS,      /* put-if-absent found the name taken */
    ERR_IO,          /* the world below failed: disk, network */
    ERR_CORRUPT,     /* bytes that somebody wrote break their format */
    ERR_UNSUPPORTED, /* correct, but not understood by this version */
    ERR_CONFLICT,    /* a concurrent writer won */
    ERR_LIMIT,       /* a maximum was reached: memory, size, depth */
    ERR_INTERRUPTED, /* stopped on request */
    ERR_INTERNAL,    /* our mistake */
} Status;

typedef enum ErrorFlag {
    ERROR_RETRIABLE = 1,       /* the same attempt may succeed later */
    ERROR_UNKNOWN_OUTCOME = 2, /* the effect may or may not have happened */
} ErrorFlag;

/* One identifier per line of errors.def, e.g. E_DELTA_GAP. */
typedef enum ErrorId {
    E_NONE = 0,
#define ERROR_DEF(id, code, status, klass, text) E_##id,
#include "base/errors.def"
#undef ERROR_DEF
    ERROR_ID_COUNT
} ErrorId;

typedef struct ErrorDef {
    const char *code; /* "FR-DELTA-004" */
    Status status;
    const char *klass; /* Delta/Spark error class, or "" */
    const char *text;  /* one sentence for the manual */
} ErrorDef;

/* The table itself, indexed by ErrorId; entry 0 is empty. */
extern const ErrorDef ERROR_DEFS[ERROR_ID_COUNT];

enum { ERROR_TEXT_MAX = 4096, ERROR_HINT_MAX = 1024, ERROR_FILE_MAX = 512 };

/* Place of an error in a text the user wrote. line and column are 1-based, 0 = unknown; column and length in bytes. */
typedef struct ErrorPlace {
    char file[ERROR_FILE_MAX];
    int line, column, length;
    char source[512]; /* the line itself, for the excerpt; may be empty */
} ErrorPlace;

typedef struct Error {
    ErrorId id;
    unsigned flags;               /* ErrorFlag */
    char message[ERROR_TEXT_MAX]; /* context first: "reading table X: commit 7: ..." */
    char hint[ERROR_HINT_MAX];
    char klass[80]; /* overrides ERROR_DEFS[id].klass when not empty */
    ErrorPlace place;
} Error;

/* An Error that is not set. `Error err = ERROR_NONE;` */
#define ERROR_NONE ((Error){.id = E_NONE})

/* Sets *err and returns the status of `id`, so that `return error_set(err, E_X, "...", ...)` reads well. err may be
 * NULL (the caller only wants the status). Message without final full stop, lower-case start, names the file. */
__attribute__((format(printf, 3, 4))) Status error_set(Error *err, ErrorId id, const char *format, ...);
/* Adds "context: " before the message; returns the status of *err, for `return error_context(err, ...)`. */
__attribute__((format(printf, 2, 3))) Status error_context(Error *err, const char *format, ...);
/* Sets the hint: what the user can do. */
__attribute__((format(printf, 2, 3))) void error_hint(Error *err, const char *format, ...);
/* Names the error class users of Delta and Spark know (DELTA_...), where one ErrorId covers several. */
void error_klass(Error *err, const char *klass);
void error_flag(Error *err, ErrorFlag flag);
/* Status of a set error; OK when unset. NULL, an error that nobody wants to read, is still one: ERR_INTERNAL. */
Status error_status(const Error *err);
void error_clear(Error *err);
/* Sets from errno: E_IO, "<format>: <strerror>"; ENOSPC and EROFS, EACCES get hints; ENOENT becomes E_IO_NOT_FOUND. */
__attribute__((format(printf, 2, 3))) Status error_errno(Error *err, const char *format, ...);
/* The same hint and flags for an error whose message ends with what the C library says of its code, as DuckDB's do. */
void error_errno_said(Error *err);
/* The nearest of `names` (n of them) to `word` by edit distance (at most a third of its length), or NULL:
 * for "did you mean". */
const char *error_nearest(const char *word, const char *const *names, size_t n);

/* rc = call; on failure jump to out. Every function has one `out:` that frees what it owns. */
#define TRY(call)                  \
    do {                           \
        if ((rc = (call)) != OK) { \
            goto out;              \
        }                          \
    } while (0)

#endif
