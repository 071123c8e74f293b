/* DuckDB's errors as ours.
 *
 * With errors_as_json DuckDB says "[<Kind> Error: ]{"exception_type":"Binder","exception_message":"...",
 * "position":"17", ...}". The kind decides the ErrorId; the tail of the message that lists candidates becomes the hint.
 *
 * An error of one of our own functions crosses DuckDB as a token, "freshet-error:<n>: <message>", while the Error
 * itself waits in a ring of the instance. The ring is small: an error that TRY() swallows is simply overwritten, and
 * should a token have lost its Error, its message still arrives.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "duck/duck_int.h"

#define TOKEN_PREFIX "freshet-error:"

void duck_kept_errors_init(KeptErrors *kept)
{
    *kept = (KeptErrors){.next = random_u64() | 1}; /* so that no user text holds a token */
    pthread_mutex_init(&kept->lock, NULL);
}

void duck_kept_errors_fini(KeptErrors *kept)
{
    for (size_t i = 0; i < DUCK_KEPT_ERRORS; i++) {
        mem_free(kept->errors[i]);
    }
    pthread_mutex_destroy(&kept->lock);
}

void duck_error_keep(Duck *duck, const Error *err, char text[DUCK_TOKEN_TEXT])
{
    KeptErrors *kept = &duck->kept;
    pthread_mutex_lock(&kept->lock);
    uint64_t token = kept->next++;
    size_t slot = token % DUCK_KEPT_ERRORS;
    if (kept->errors[slot] == NULL) {
        kept->errors[slot] = mem_alloc(sizeof(Error));
    }
    *kept->errors[slot] = *err;
    kept->tokens[slot] = token;
    pthread_mutex_unlock(&kept->lock);
    snprintf(text, DUCK_TOKEN_TEXT, TOKEN_PREFIX "%" PRIu64 ": %.400s", token, err->message);
    text[utf8_valid(text, strlen(text))] = '\0'; /* the cut may have gone through a character */
}

/* The kept Error a message names, or false. */
static bool recall(Duck *duck, const char *message, Error *err)
{
    const char *at = strstr(message, TOKEN_PREFIX);
    if (at == NULL) {
        return false;
    }
    KeptErrors *kept = &duck->kept;
    uint64_t token = strtoull(at + strlen(TOKEN_PREFIX), NULL, 10);
    size_t slot = token % DUCK_KEPT_ERRORS;
    pthread_mutex_lock(&kept->lock);
    bool found = kept->tokens[slot] == token && kept->errors[slot] != NULL;
    if (found && err != NULL) {
        *err = *kept->errors[slot];
    }
    pthread_mutex_unlock(&kept->lock);
    return found;
}

/* DuckDB's names of its exceptions; what is not here is E_SQL_RUN. */
static const struct {
    const char *kind;
    ErrorId id;
} KINDS[] = {
    {"Parser", E_SQL_PARSE},
    {"Syntax", E_SQL_PARSE},
    {"Binder", E_SQL_BIND},
    {"Catalog", E_SQL_BIND},
    {"Parameter Not Resolved", E_SQL_BIND},
    {"Parameter Not Allowed", E_SQL_BIND},
    {"Missing Extension", E_SQL_BIND},
    {"Extension Autoloading", E_SQL_BIND},
    {"IO", E_IO},
    {"HTTP", E_IO},
    {"Network", E_IO},
    {"INTERRUPT", E_INTERRUPTED},
    {"Out of Memory", E_SQL_MEMORY},
    {"INTERNAL", E_INTERNAL},
    {"FATAL", E_INTERNAL},
};

static ErrorId id_of_kind(const char *kind)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (str_ieq(KINDS[i].kind, kind)) {
            return KINDS[i].id;
        }
    }
    return E_SQL_RUN;
}

/* What DuckDB said, taken apart. Strings are the caller's. */
typedef struct Said {
    char *kind, *message;
    int64_t position; /* -1: none */
} Said;

static void said_fini(Said *said)
{
    mem_free(said->kind);
    mem_free(said->message);
}

static bool take_json(const char *text, Said *said)
{
    const char *brace = strchr(text, '{');
    if (brace == NULL) {
        return false;
    }
    json_t *object = NULL;
    const JsonSource source = {.name = "an error"};
    if (json_parse_object(brace, strlen(brace), &source, &object, NULL) != OK) {
        return false;
    }
    const char *kind = json_string_value(json_object_get(object, "exception_type"));
    const char *message = json_string_value(json_object_get(object, "exception_message"));
    bool usable = kind != NULL && message != NULL;
    if (usable) {
        *said = (Said){.kind = mem_strdup(kind), .message = mem_strdup(message), .position = -1};
        const char *position = json_string_value(json_object_get(object, "position"));
        if (position != NULL && !str_parse_i64(position, &said->position)) {
            said->position = -1;
        }
    }
    json_decref(object);
    return usable;
}

/* "Binder Error: text": the form when somebody switched errors_as_json off, and of errors from below DuckDB's
 * statements. */
static void take_plain(const char *text, Said *said)
{
    static const char MARK[] = " Error: ";
    const char *mark = strstr(text, MARK), *line = strchr(text, '\n');
    if (mark != NULL && mark - text < 32 && (line == NULL || mark < line)) {
        *said = (Said){.kind = mem_strndup(text, (size_t)(mark - text)), .message = mem_strdup(mark + strlen(MARK))};
    } else {
        *said = (Said){.kind = mem_strdup(""), .message = mem_strdup(text)};
    }
    said->position = -1;
}

/* What DuckDB adds to its messages, cut off in this order: excerpts and the like are dropped (no lead), advice becomes
 * the hint. */
static const struct {
    const char *mark, *lead;
} ADDITIONS[] = {
    {"\n\nLINE ", NULL},
    {"\nLINE ", NULL},
    {"\n\nStack Trace:", NULL},
    {"\n\nPossible solutions:", NULL},
    {"\nDid you mean ", "did you mean "},
    {"\nCandidate bindings: ", "there is: "},
    {"\nCandidate tables: ", "there is: "},
    {"\n\tCandidate functions:\n", "there is: "},
    {"\n\tCandidate macros:\n", "there is: "},
};

enum { ADVICE_MAX = 300 }; /* bytes after which no further candidate is listed */

/* Advice of several lines on one. */
static void append_advice(const char *advice, const char *lead, Text *hint)
{
    text_append(hint, lead);
    for (const char *line = advice; *(line += strspn(line, "\n\t ")) != '\0';) {
        size_t n = strcspn(line, "\n");
        text_append(hint, hint->length == strlen(lead) ? "" : "; ");
        if (hint->length > ADVICE_MAX) {
            text_append(hint, "...");
            return;
        }
        text_append_n(hint, line, n);
        line += n;
    }
}

/* Cuts additions off the message, in place. */
static void take_additions(char *message, Text *hint)
{
    for (size_t i = 0; i < sizeof ADDITIONS / sizeof *ADDITIONS; i++) {
        char *at = strstr(message, ADDITIONS[i].mark);
        if (at == NULL) {
            continue;
        }
        if (ADDITIONS[i].lead != NULL && hint->length == 0) {
            append_advice(at + strlen(ADDITIONS[i].mark), ADDITIONS[i].lead, hint);
        }
        *at = '\0';
    }
    for (size_t n = strlen(message); n > 0 && strchr("\n\t .", message[n - 1]) != NULL; n--) {
        message[n - 1] = '\0';
    }
}

/* Damaged Thrift structures; DuckDB names no file then, and may quote a control character. */
static bool is_damaged_parquet(const char *message)
{
    static const char *const SAID[] = {"TProtocolException", "TTransportException", "don't know what type: ",
                                       "invalid TType",      "Out of buffer",       "Variable-length int over "};

    for (size_t i = 0; i < sizeof SAID / sizeof *SAID; i++) {
        if (str_starts(message, SAID[i])) {
            return true;
        }
    }
    return false;
}

static Status damaged_parquet(DuckConn *conn, Error *err)
{
    Error said = ERROR_NONE;
    Status rc = error_set(&said, E_SQL_RUN, "a Parquet file is damaged: its headers cannot be read");
    ParquetBlame blame = atomic_load(&conn->duck->blame);
    if (blame != NULL && err != NULL && !conn->probing) {
        blame(conn->duck, &said);
    }
    if (err != NULL) {
        *err = said;
    }
    return rc;
}

Status duck_error_translate(DuckConn *conn, const char *message, Error *err)
{
    conn->error_position = -1;
    if (message == NULL || message[0] == '\0') {
        return error_set(err, E_SQL_RUN, "DuckDB failed without a reason");
    }
    Error own;
    if (recall(conn->duck, message, &own)) {
        if (err != NULL) {
            *err = own;
        }
        return error_status(&own);
    }
    Said said;
    if (!take_json(message, &said)) {
        take_plain(message, &said);
    }
    conn->error_position = said.position;
    if (is_damaged_parquet(said.message)) {
        said_fini(&said);
        return damaged_parquet(conn, err);
    }
    Text hint = TEXT(ERROR_HINT_MAX - 1);
    take_additions(said.message, &hint);
    ErrorId id = id_of_kind(said.kind);
    const char *text = said.message;
    if (str_starts(text, TOKEN_PREFIX) && strstr(text, ": ") != NULL) {
        text = strstr(text, ": ") + 2;
    }
    Status rc = error_set(err, id, "%s%s", id == E_INTERNAL ? "DuckDB: " : "", text);
    if (id == E_SQL_MEMORY) {
        error_hint(err, "raise the memory limit; sorts, joins and groupings spill to disk by themselves, but list(), "
                        "string_agg() and the like must fit");
    } else if (hint.length > 0) {
        error_hint(err, "%s", text_str(&hint));
    } else if (id == E_IO) {
        error_errno_said(err);
    }
    said_fini(&said);
    text_free(&hint);
    return rc;
}
