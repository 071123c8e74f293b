/* Tokens of SQL with their places: enough of DuckDB's (PostgreSQL's) lexical rules that strings, quoted names, dollar
 * quotes and nested comments can never be mistaken for code, plus `back-quoted` names as Spark and Delta users write
 * them.
 *
 * Comments and white space leave no tokens. Brackets are matched here, so that whoever walks tokens can step over a
 * group at once and never meets an unbalanced one.
 */
#ifndef FRESHET_SQL_LEXER_H
#define FRESHET_SQL_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "sql/source_text.h"

/* SQL_W_SELECT, ...: what a WORD token spells, in any case; SQL_W_OTHER for words outside keywords.def. */
typedef enum SqlWord {
    SQL_W_OTHER = 0,
#define WORD(id, text, class) SQL_W_##id,
#include "sql/keywords.def"
#undef WORD
    SQL_WORD_COUNT
} SqlWord;

/* Where DuckDB lets a word stand without quotes; see keywords.def. */
typedef enum SqlWordClass { SQL_WORD_FREE, SQL_WORD_COLUMN, SQL_WORD_FUNCTION, SQL_WORD_RESERVED } SqlWordClass;

typedef enum SqlTokenKind {
    SQL_TOKEN_END,    /* one behind the last token */
    SQL_TOKEN_WORD,   /* name or keyword without quotes */
    SQL_TOKEN_NAME,   /* "..." or `...` */
    SQL_TOKEN_STRING, /* '...', E'...', $tag$...$tag$ */
    SQL_TOKEN_NUMBER,
    SQL_TOKEN_PARAMETER, /* $1, $name */
    SQL_TOKEN_OPERATOR,  /* everything else; `op` says which */
} SqlTokenKind;

/* Operators of one character are that character; the longer ones that matter to us have names. Others come as several
 * tokens. */
typedef enum SqlOp {
    SQL_OP_ARROW = 128, /* => */
    SQL_OP_ASSIGN,      /* := */
    SQL_OP_CAST,        /* :: */
    SQL_OP_LAMBDA,      /* -> and ->> */
    SQL_OP_COMPARE,     /* <=, >=, <>, !=, == */
} SqlOp;

typedef struct SqlToken {
    uint32_t begin, end; /* bytes of the text */
    uint32_t match;      /* index of the bracket that belongs to this one; its own index for other tokens */
    uint16_t word;       /* SqlWord, for WORD */
    uint8_t kind;        /* SqlTokenKind */
    uint8_t op;          /* for OPERATOR: SqlOp */
} SqlToken;

typedef struct SqlTokens {
    SqlToken *items; /* count + 1 of them; items[count] is END */
    size_t count;
} SqlTokens;

enum {
    SQL_TEXT_MAX = 16 << 20,  /* bytes of one text */
    SQL_TOKENS_MAX = 4 << 20, /* tokens of one text */
    SQL_NESTING_MAX = 256,    /* open brackets */
};

/* Cuts text[span] into tokens. E_SQL_PARSE for an open quote or comment, unbalanced brackets, bytes that are not UTF-8
 * and NUL; E_LIMIT for the maxima above. A ';' must not stand inside brackets. The tokens are the caller's:
 * sql_tokens_fini. */
Status sql_lex(const SqlText *text, SqlSpan span, SqlTokens *out, Error *err);
void sql_tokens_fini(SqlTokens *tokens);

/* For a prompt: is the last token of the text a ';'? One inside of quotes or a comment is none. True for text that no
 * further line could mend. */
bool sql_is_ended(const SqlText *text);

/* The span of the token that covers or follows `offset`; the empty span at the end of the text when there is none. */
SqlSpan sql_token_span_at(const SqlText *text, size_t offset);

/* What a token means: a name without its quotes, a string with its escapes resolved, other tokens as written. */
char *sql_token_value(const SqlText *text, const SqlToken *token, Arena *arena);

/* True for the operator `op` (a character or a SqlOp). */
bool sql_token_is_op(const SqlToken *token, int op);
/* True for a word without quotes that is `word`. */
bool sql_token_is_word(const SqlToken *token, SqlWord word);
/* True for a quoted name, or a word that is at most `class` (FREE < COLUMN < FUNCTION < RESERVED). */
bool sql_token_is_name(const SqlToken *token, SqlWordClass class);

/* The word in lower case, as keywords.def has it. */
const char *sql_word_text(SqlWord word);
SqlWordClass sql_word_class(SqlWord word);
/* Finds n bytes among the words, ignoring case; SQL_W_OTHER when they are none. */
SqlWord sql_word_find(const char *text, size_t n);

#endif
