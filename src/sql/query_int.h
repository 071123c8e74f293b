/* What the parts of a query share: the pieces of the rewritten text, and the parser of one relation. Inside src/sql
 * only. */
#ifndef FRESHET_SQL_QUERY_INT_H
#define FRESHET_SQL_QUERY_INT_H

#include "sql/cursor.h"

/* The rewritten text is a row of pieces; each knows where it comes from. */
typedef enum SqlPieceKind {
    SQL_PIECE_COPY,     /* the user's bytes as they are: offsets inside carry over */
    SQL_PIECE_EDIT,     /* other bytes in the place of source, which may be empty */
    SQL_PIECE_RELATION, /* the placeholder of a relation */
} SqlPieceKind;

typedef struct SqlPiece {
    SqlPieceKind kind;
    SqlSpan source;   /* bytes of the user's text */
    const char *data; /* what stands in the rewritten text */
    size_t length;
    size_t relation; /* RELATION: its index */
    size_t order;    /* of edits at one place */
} SqlPiece;

struct SqlQuery {
    Arena *arena;
    SqlText text; /* the user's */
    SqlSpan span;
    SqlPiece *pieces;
    size_t n_pieces;
    SqlRelation *relations;
    size_t n_relations;
    const char *rewritten; /* all pieces in one */
    size_t length;         /* of it */
    SqlPiece *edits;       /* of the rewriting, but for those of hidden.c */
    size_t n_edits;
    const Error *lacks_metadata; /* or NULL */
};

/* Bytes [begin, end) of the rewritten text that become `text`. */
typedef struct SqlReplacement {
    size_t begin, end;
    const char *text;
} SqlReplacement;

enum { SQL_RELATIONS_MAX = 1000 }; /* relations, and common table expressions, of one query */

/* Lays `edits` (any order, source spans in the user's text; of two that overlap the outer one counts) over the
 * query's span. The edits' texts live in the query's arena. */
void sql_query_set_edits(SqlQuery *query, SqlPiece *edits, size_t n);
/* Replaces parts of the rewritten text, given by place and without overlap; each becomes an EDIT that knows its source.
 */
void sql_query_replace(SqlQuery *query, const SqlReplacement *replacements, size_t n);

/* The user's token at an offset of the rewritten text; what an edit replaced for bytes that the user did not write. */
SqlSpan sql_query_token(const SqlQuery *query, size_t offset);

/* Lays the query's edits over its text, and those that keep the column _metadata of its relations out of every `*`
 * (hidden.c). */
void sql_apply_edits(SqlQuery *query, const SqlTokens *tokens);

/* ---- one relation (relation.c) ---- */

typedef enum SqlRelationClass {
    SQL_RELATION_OURS,   /* STREAM, path, our function, or with a clause of ours */
    SQL_RELATION_PLAIN,  /* a name of one or two parts: the resolver decides */
    SQL_RELATION_FOREIGN /* DuckDB's: a function, a file in quotes, a name of three parts */
} SqlRelationClass;

/* Reads a relation up to, not including, its alias. For FOREIGN the cursor stays where it was. kind, stream, names,
 * arguments, options, time travel and watermark of *out are set; span covers what was read. */
Status sql_parse_relation(SqlCursor *c, SqlRelation *out, SqlRelationClass *class, Error *err);
/* True when STREAM at the cursor is the keyword, not a table of that name. */
bool sql_is_stream(const SqlCursor *c);
/* True at WINDOW name AS (; `window` is a name elsewhere. */
bool sql_is_window_clause(const SqlCursor *c);
/* True at a word that ends a FROM clause. */
bool sql_ends_from(const SqlCursor *c);
/* True when a sub-query starts at the cursor. */
bool sql_starts_query(const SqlCursor *c);

#endif
