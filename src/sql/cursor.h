/* A cursor over the tokens of one statement, for hand-written parsers: look, accept, expect, and errors that say what
 * was expected and what stands there. Everything it hands out lives in its arena. Inside src/sql only. */
#ifndef FRESHET_SQL_CURSOR_H
#define FRESHET_SQL_CURSOR_H

#include "sql/lexer.h"
#include "sql/query.h"
#include "sql/statement.h"

typedef struct SqlCursor {
    const SqlText *text;
    const SqlToken *tokens; /* of the whole text; indexes below are into it */
    size_t at, end;         /* next token, end of the part that may be read */
    Arena *arena;
} SqlCursor;

/* The token `ahead` of the next one; an END token behind the part. */
const SqlToken *cursor_peek(const SqlCursor *c, size_t ahead);
bool cursor_done(const SqlCursor *c);
bool cursor_is(const SqlCursor *c, size_t ahead, SqlWord word);
bool cursor_is_op(const SqlCursor *c, size_t ahead, int op);
/* Steps over the word (two words, operator) if it is next. */
bool cursor_accept(SqlCursor *c, SqlWord word);
bool cursor_accept2(SqlCursor *c, SqlWord first, SqlWord second);
bool cursor_accept_op(SqlCursor *c, int op);
/* A word that is no keyword elsewhere, in any case. */
bool cursor_accept_text(SqlCursor *c, const char *word);
/* Steps over one token, a bracket with all it holds. */
void cursor_skip(SqlCursor *c);

/* Fails unless the word or operator is next. `after` says where: "after the name of the flow". */
Status cursor_expect(SqlCursor *c, SqlWord word, const char *after, Error *err);
Status cursor_expect_op(SqlCursor *c, char op, const char *after, Error *err);
/* Any word or quoted name that is at most `class`. `what`: "a column name". */
Status cursor_name(SqlCursor *c, SqlWordClass class, const char *what, const char **out, Error *err);
/* `default` is a reserved word, and the schema of names without one: it needs no quotes before the name of a table. */
bool cursor_is_default_schema(const SqlCursor *c);
/* The name of a schema, standing alone. */
Status cursor_schema_name(SqlCursor *c, const char **out, Error *err);
/* A string literal. */
Status cursor_string(SqlCursor *c, const char *what, const char **out, Error *err);
/* [schema.]name, delta.`uri`, and with `path_string` also 'uri'. */
Status cursor_table_name(SqlCursor *c, bool path_string, SqlName *out, Error *err);
/* ( name, name, ... ) */
Status cursor_name_list(SqlCursor *c, const char *what, const char *const **out, size_t *n, Error *err);

/* Spans and text of the tokens [from, to); the empty text when from == to. */
SqlSpan cursor_span(const SqlCursor *c, size_t from, size_t to);
const char *cursor_slice(const SqlCursor *c, size_t from, size_t to);
/* The same as DuckDB reads it: back-quoted names in double quotes. */
const char *cursor_expression(const SqlCursor *c, size_t from, size_t to);

/* E_SQL_PARSE at the next token: "expected <what>, found "x"". */
__attribute__((format(printf, 3, 4))) Status cursor_expected(const SqlCursor *c, Error *err, const char *format, ...);
/* E_SQL_PARSE with its own message at tokens [from, to). */
__attribute__((format(printf, 5, 6))) Status cursor_error(const SqlCursor *c, size_t from, size_t to, Error *err,
                                                          const char *format, ...);

/* ---- literals and options (options.c) ---- */

/* The name of a setting or option: words joined by dots, a quoted name or a string. `what`: "the name of an option". */
Status cursor_key(SqlCursor *c, const char *what, const char **out, Error *err);
/* A literal: string, number, word, DATE '...', INTERVAL ..., or a list of them. Fills value, is_string, is_list. */
Status cursor_literal(SqlCursor *c, SqlOption *out, Error *err);
/* True when the text of an interval is a bare number, so that its unit is the word behind it. */
bool sql_needs_unit(const char *interval);
/* ( key = value, ... ) with keys as words joined by dots, quoted names or strings. A key that stands twice is an error.
 */
Status cursor_options(SqlCursor *c, const SqlOption **out, size_t *n, Error *err);
/* ( value, ..., key => value, ... ) */
Status cursor_arguments(SqlCursor *c, const SqlOption **out, size_t *n, Error *err);

/* A growing array in the arena's lifetime: finished by cursor_list_take, which copies it there. */
typedef struct SqlList {
    void *items;
    size_t count, capacity, size;
} SqlList;
#define SQL_LIST(type) ((SqlList){.size = sizeof(type)})
/* A new zeroed element. */
void *sql_list_add(SqlList *list);
/* Moves the elements to the arena; *n is their number. */
void *sql_list_take(SqlList *list, Arena *arena, size_t *n);
void sql_list_fini(SqlList *list);
/* Fails when the name of the last element (a const char * at `name_offset`, may be NULL) stands on an earlier one in
 * any case, or when the list has more than SQL_LIST_MAX elements. `what` is the beginning of the message: "column"
 * gives: column "a" stands twice. */
Status sql_list_check(const SqlCursor *c, const SqlList *list, size_t name_offset, SqlSpan span, const char *what,
                      Error *err);
enum { SQL_LIST_MAX = 10000 };

#endif
