/* Tokens. One pass over the bytes; brackets find each other while it goes, so that a parser can step over what they
 * hold at once. */
#include "sql/lexer.h"

#include <string.h>

typedef struct WordDef {
    const char *text;
    SqlWordClass class;
} WordDef;

static const WordDef WORDS[SQL_WORD_COUNT] = {
    [SQL_W_OTHER] = {"", SQL_WORD_FREE},
#define WORD(id, text, class) [SQL_W_##id] = {text, SQL_WORD_##class},
#include "sql/keywords.def"
#undef WORD
};

enum { WORD_LENGTH_MAX = 24 };

const char *sql_word_text(SqlWord word)
{
    return WORDS[word].text;
}

SqlWordClass sql_word_class(SqlWord word)
{
    return WORDS[word].class;
}

SqlWord sql_word_find(const char *text, size_t n)
{
    char lower[WORD_LENGTH_MAX + 1];
    if (n > WORD_LENGTH_MAX) {
        return SQL_W_OTHER;
    }
    memcpy(lower, text, n);
    lower[n] = 0;
    str_lower(lower);
    size_t low = 1, high = SQL_WORD_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(lower, WORDS[middle].text);
        if (order == 0) {
            return (SqlWord)middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return SQL_W_OTHER;
}

/* ---- characters ---- */

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_start(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_word_part(unsigned char c)
{
    return is_word_start(c) || is_digit(c) || c == '$';
}

static bool is_hex(unsigned char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Bytes of white space at s (n left): ASCII, and the Unicode blanks that DuckDB takes for spaces too. */
static size_t blank_length(const char *s, size_t n)
{
    static const char *const BLANKS[] = {"\xC2\xA0",     "\xE2\x80\xAF", "\xE2\x81\x9F",
                                         "\xE2\x81\xA0", "\xE3\x80\x80", "\xEF\xBB\xBF"};
    unsigned char c = (unsigned char)s[0];
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
        return 1;
    }
    if (c < 0xC2) {
        return 0;
    }
    if (n >= 3 && memcmp(s, "\xE2\x80", 2) == 0 && (unsigned char)s[2] >= 0x80 && (unsigned char)s[2] <= 0x8D) {
        return 3;
    }
    for (size_t i = 0; i < sizeof BLANKS / sizeof *BLANKS; i++) {
        size_t length = strlen(BLANKS[i]);
        if (n >= length && memcmp(s, BLANKS[i], length) == 0) {
            return length;
        }
    }
    return 0;
}

/* ---- one token ---- */

typedef struct Lexer {
    const SqlText *text;
    size_t at, end;
} Lexer;

static unsigned char look(const Lexer *l, size_t ahead)
{
    return l->end - l->at > ahead ? (unsigned char)l->text->data[l->at + ahead] : 0;
}

static Status open_error(const Lexer *l, size_t begin, const char *what, Error *err)
{
    Status rc = error_set(err, E_SQL_PARSE, "%s is never closed", what);
    sql_error_place(err, l->text, (SqlSpan){begin, begin + 1});
    return rc;
}

/* Steps over white space and comments. */
static Status skip_blank(Lexer *l, Error *err)
{
    for (;;) {
        size_t blank = l->at < l->end ? blank_length(l->text->data + l->at, l->end - l->at) : 0;
        if (blank) {
            l->at += blank;
        } else if (look(l, 0) == '-' && look(l, 1) == '-') {
            while (l->at < l->end && look(l, 0) != '\n') {
                l->at++;
            }
        } else if (look(l, 0) == '/' && look(l, 1) == '*') {
            size_t begin = l->at, depth = 0;
            do {
                if (l->at >= l->end) {
                    return open_error(l, begin, "a comment", err);
                }
                bool opens = look(l, 0) == '/' && look(l, 1) == '*', closes = look(l, 0) == '*' && look(l, 1) == '/';
                depth = opens ? depth + 1 : closes ? depth - 1 : depth;
                l->at += opens || closes ? 2 : 1;
            } while (depth > 0);
        } else {
            return OK;
        }
    }
}

/* From the opening quote on; a doubled quote stands for itself, a backslash protects the next byte when `escapes`. */
static Status lex_quoted(Lexer *l, size_t begin, bool escapes, const char *what, Error *err)
{
    unsigned char quote = look(l, 0);
    l->at++;
    while (l->at < l->end) {
        unsigned char c = look(l, 0);
        if (c == quote && look(l, 1) != quote) {
            l->at++;
            return OK;
        }
        l->at += c == quote || (c == '\\' && escapes) ? 2 : 1;
    }
    l->at = l->end;
    return open_error(l, begin, what, err);
}

/* $1, $name, $$...$$, $tag$...$tag$ */
static Status lex_dollar(Lexer *l, SqlToken *token, Error *err)
{
    size_t begin = l->at++;
    if (is_digit(look(l, 0))) {
        while (is_digit(look(l, 0))) {
            l->at++;
        }
        token->kind = SQL_TOKEN_PARAMETER;
        return OK;
    }
    while (is_word_part(look(l, 0)) && look(l, 0) != '$') {
        l->at++;
    }
    if (look(l, 0) != '$') {
        token->kind = l->at > begin + 1 ? SQL_TOKEN_PARAMETER : SQL_TOKEN_OPERATOR;
        token->op = '$';
        return OK;
    }
    size_t tag = ++l->at - begin;
    const char *data = l->text->data, *body = data + l->at;
    const char *close = memmem(body, l->end - l->at, data + begin, tag);
    if (!close) {
        l->at = l->end;
        return open_error(l, begin, "a dollar-quoted string", err);
    }
    l->at = (size_t)(close - data) + tag;
    token->kind = SQL_TOKEN_STRING;
    return OK;
}

static void lex_digits(Lexer *l)
{
    while (is_digit(look(l, 0)) || (look(l, 0) == '_' && is_digit(look(l, 1)))) {
        l->at++;
    }
}

static void lex_number(Lexer *l)
{
    if (look(l, 0) == '0' && (look(l, 1) == 'x' || look(l, 1) == 'X') && is_hex(look(l, 2))) {
        l->at += 2;
        while (is_hex(look(l, 0)) || (look(l, 0) == '_' && is_hex(look(l, 1)))) {
            l->at++;
        }
        return;
    }
    lex_digits(l);
    if (look(l, 0) == '.') {
        l->at++;
        lex_digits(l);
    }
    if (look(l, 0) == 'e' || look(l, 0) == 'E') {
        size_t sign = look(l, 1) == '+' || look(l, 1) == '-' ? 2 : 1;
        if (is_digit(look(l, sign))) {
            l->at += sign;
            lex_digits(l);
        }
    }
}

static void lex_operator(Lexer *l, SqlToken *token)
{
    static const struct {
        const char *text;
        SqlOp op;
    } OPERATORS[] = {{"->>", SQL_OP_LAMBDA}, {"->", SQL_OP_LAMBDA},  {"=>", SQL_OP_ARROW},   {":=", SQL_OP_ASSIGN},
                     {"::", SQL_OP_CAST},    {"<=", SQL_OP_COMPARE}, {">=", SQL_OP_COMPARE}, {"<>", SQL_OP_COMPARE},
                     {"!=", SQL_OP_COMPARE}, {"==", SQL_OP_COMPARE}};
    token->kind = SQL_TOKEN_OPERATOR;
    for (size_t i = 0; i < sizeof OPERATORS / sizeof *OPERATORS; i++) {
        size_t n = strlen(OPERATORS[i].text);
        if (l->end - l->at >= n && memcmp(l->text->data + l->at, OPERATORS[i].text, n) == 0) {
            token->op = (uint8_t)OPERATORS[i].op;
            l->at += n;
            return;
        }
    }
    token->op = look(l, 0);
    l->at++;
}

/* The next token; END at the end. */
static Status lex_token(Lexer *l, SqlToken *token, Error *err)
{
    Status rc = skip_blank(l, err);
    if (rc != OK) {
        return rc;
    }
    *token = (SqlToken){.begin = (uint32_t)l->at, .kind = SQL_TOKEN_END};
    size_t begin = l->at;
    unsigned char c = look(l, 0);
    if (l->at >= l->end) {
        token->kind = SQL_TOKEN_END;
    } else if (c == '\'' || ((c == 'e' || c == 'E') && look(l, 1) == '\'')) {
        token->kind = SQL_TOKEN_STRING;
        l->at += c == '\'' ? 0 : 1;
        rc = lex_quoted(l, begin, c != '\'', "a string", err);
    } else if (c == '"' || c == '`') {
        token->kind = SQL_TOKEN_NAME;
        rc = lex_quoted(l, begin, false, "a quoted name", err);
        if (rc == OK && l->at - begin == 2) {
            rc = error_set(err, E_SQL_PARSE, "a quoted name is empty");
            sql_error_place(err, l->text, (SqlSpan){begin, l->at});
        }
    } else if (is_word_start(c)) {
        /* a Unicode blank ends a word, as DuckDB turns it into a space before it parses */
        while (is_word_part(look(l, 0)) && !blank_length(l->text->data + l->at, l->end - l->at)) {
            l->at++;
        }
        token->kind = SQL_TOKEN_WORD;
        token->word = (uint16_t)sql_word_find(l->text->data + begin, l->at - begin);
    } else if (c == '$') {
        rc = lex_dollar(l, token, err);
    } else if (is_digit(c) || (c == '.' && is_digit(look(l, 1)))) {
        token->kind = SQL_TOKEN_NUMBER;
        lex_number(l);
    } else {
        lex_operator(l, token);
    }
    token->end = (uint32_t)l->at;
    return rc;
}

/* ---- all tokens ---- */

static Status check_bytes(const SqlText *text, SqlSpan span, Error *err)
{
    if (span.end - span.begin > SQL_TEXT_MAX) {
        return error_set(err, E_LIMIT, "%s: the text has %zu bytes, more than %d", text->name, span.end - span.begin,
                         SQL_TEXT_MAX);
    }
    const char *data = text->data + span.begin;
    size_t n = span.end - span.begin, bad = n ? utf8_valid(data, n) : 0;
    const char *nul = n ? memchr(data, 0, n) : NULL;
    if (bad == n && !nul) {
        return OK;
    }
    bool is_nul = nul && (size_t)(nul - data) <= bad;
    size_t at = span.begin + (is_nul ? (size_t)(nul - data) : bad);
    Status rc = error_set(err, E_SQL_PARSE, is_nul ? "the text holds a NUL byte" : "the text is not UTF-8");
    sql_error_place(err, text, (SqlSpan){at, at + 1});
    return rc;
}

static char bracket_partner(uint8_t op)
{
    return op == ')' ? '(' : op == ']' ? '[' : op == '}' ? '{' : 0;
}

typedef struct BracketStack {
    uint32_t open[SQL_NESTING_MAX];
    size_t depth;
} BracketStack;

/* Matches token `at` with the stack of open brackets. */
static Status match_bracket(const SqlText *text, SqlTokens *tokens, size_t at, BracketStack *stack, Error *err)
{
    SqlToken *token = &tokens->items[at];
    SqlSpan span = {token->begin, token->end};
    if (token->kind != SQL_TOKEN_OPERATOR) {
        return OK;
    }
    if (token->op == '(' || token->op == '[' || token->op == '{') {
        if (stack->depth == SQL_NESTING_MAX) {
            Status rc = error_set(err, E_LIMIT, "brackets are nested deeper than %d", SQL_NESTING_MAX);
            sql_error_place(err, text, span);
            return rc;
        }
        stack->open[stack->depth++] = (uint32_t)at;
        return OK;
    }
    char partner = bracket_partner(token->op);
    SqlToken *open = stack->depth ? &tokens->items[stack->open[stack->depth - 1]] : NULL;
    if (partner && open && open->op == (uint8_t)partner) {
        token->match = stack->open[--stack->depth];
        open->match = (uint32_t)at;
    } else if (partner && !open) {
        Status rc = error_set(err, E_SQL_PARSE, "\"%c\" closes nothing", token->op);
        sql_error_place(err, text, span);
        return rc;
    } else if (partner || (token->op == ';' && open)) {
        Status rc = error_set(err, E_SQL_PARSE, "\"%c\" is not closed before \"%c\"", open->op, token->op);
        sql_error_place(err, text, (SqlSpan){open->begin, open->end});
        return rc;
    }
    return OK;
}

Status sql_lex(const SqlText *text, SqlSpan span, SqlTokens *out, Error *err)
{
    SqlTokens tokens = {0};
    size_t capacity = 0;
    BracketStack stack = {.depth = 0};
    Lexer lexer = {.text = text, .at = span.begin, .end = span.end};
    Status rc = OK;
    TRY(check_bytes(text, span, err));
    for (;;) {
        tokens.items = mem_grow(tokens.items, tokens.count, &capacity, sizeof *tokens.items);
        SqlToken *token = &tokens.items[tokens.count];
        TRY(lex_token(&lexer, token, err));
        token->match = (uint32_t)tokens.count;
        if (token->kind == SQL_TOKEN_END) {
            break;
        }
        TRY(match_bracket(text, &tokens, tokens.count, &stack, err));
        if (++tokens.count > SQL_TOKENS_MAX) {
            TRY(error_set(err, E_LIMIT, "%s: the text has more than %d tokens", text->name, SQL_TOKENS_MAX));
        }
    }
    if (stack.depth) {
        const SqlToken *open = &tokens.items[stack.open[stack.depth - 1]];
        rc = error_set(err, E_SQL_PARSE, "\"%c\" is never closed", open->op);
        sql_error_place(err, text, (SqlSpan){open->begin, open->end});
        goto out;
    }
    *out = tokens;
    return OK;
out:
    sql_tokens_fini(&tokens);
    return rc;
}

void sql_tokens_fini(SqlTokens *tokens)
{
    mem_free(tokens->items);
    *tokens = (SqlTokens){0};
}

bool sql_is_ended(const SqlText *text)
{
    const SqlSpan all = {0, text->length};
    Lexer lexer = {.text = text, .end = text->length};
    SqlToken token = {.kind = SQL_TOKEN_END}, last;

    if (check_bytes(text, all, NULL) != OK) {
        return true;
    }
    do {
        last = token;
        if (lex_token(&lexer, &token, NULL) != OK) {
            return false; /* a quote or a comment is open */
        }
    } while (token.kind != SQL_TOKEN_END);
    return sql_token_is_op(&last, ';');
}

SqlSpan sql_token_span_at(const SqlText *text, size_t offset)
{
    Lexer lexer = {.text = text, .at = offset < text->length ? offset : text->length, .end = text->length};
    SqlToken token;
    Error ignored = ERROR_NONE;
    if (lex_token(&lexer, &token, &ignored) != OK) {
        return (SqlSpan){lexer.at < offset ? lexer.at : offset, text->length};
    }
    return (SqlSpan){token.begin, token.end};
}

/* ---- values ---- */

static void append_utf8(Text *out, uint32_t code)
{
    if (code < 0x80) {
        text_append_char(out, (char)code);
    } else if (code < 0x800) {
        text_append_char(out, (char)(0xC0 | code >> 6));
        text_append_char(out, (char)(0x80 | (code & 0x3F)));
    } else if (code < 0x10000) {
        text_append_char(out, (char)(0xE0 | code >> 12));
        text_append_char(out, (char)(0x80 | (code >> 6 & 0x3F)));
        text_append_char(out, (char)(0x80 | (code & 0x3F)));
    } else {
        text_append_char(out, (char)(0xF0 | (code >> 18 & 7)));
        text_append_char(out, (char)(0x80 | (code >> 12 & 0x3F)));
        text_append_char(out, (char)(0x80 | (code >> 6 & 0x3F)));
        text_append_char(out, (char)(0x80 | (code & 0x3F)));
    }
}

/* Reads up to `digits` digits of a base; returns how many there were. */
static size_t read_code(const char *s, size_t n, size_t digits, unsigned base, uint32_t *code)
{
    size_t i = 0;
    for (*code = 0; i < digits && i < n && is_hex((unsigned char)s[i]); i++) {
        unsigned char c = (unsigned char)s[i];
        unsigned value = is_digit(c) ? (unsigned)(c - '0') : (c | 32U) - 'a' + 10;
        if (value >= base) {
            break;
        }
        *code = *code * base + value;
    }
    return i;
}

/* One escape of E'...' behind the backslash; returns the bytes it took. */
static size_t append_escape(Text *out, const char *s, size_t n)
{
    static const char FROM[] = "bfnrt", TO[] = "\b\f\n\r\t";
    const char *simple = s[0] ? strchr(FROM, s[0]) : NULL;
    uint32_t code;
    size_t used;
    if (simple) {
        text_append_char(out, TO[simple - FROM]);
        return 1;
    }
    size_t wide = s[0] == 'x' ? 2 : s[0] == 'u' ? 4 : s[0] == 'U' ? 8 : 0;
    if (wide && (used = read_code(s + 1, n - 1, wide, 16, &code)) > 0) {
        if (wide == 2) {
            text_append_char(out, (char)code);
        } else {
            append_utf8(out, code);
        }
        return 1 + used;
    }
    if ((used = read_code(s, n, 3, 8, &code)) > 0) {
        text_append_char(out, (char)code);
        return used;
    }
    text_append_char(out, s[0]);
    return 1;
}

static char *dollar_value(const char *s, size_t n, Arena *arena)
{
    size_t tag = (size_t)((const char *)memchr(s + 1, '$', n - 1) - s) + 1;
    return arena_strndup(arena, s + tag, n - 2 * tag);
}

char *sql_token_value(const SqlText *text, const SqlToken *token, Arena *arena)
{
    const char *s = text->data + token->begin;
    size_t n = token->end - token->begin;
    if (token->kind == SQL_TOKEN_STRING && s[0] == '$') {
        return dollar_value(s, n, arena);
    }
    if (token->kind != SQL_TOKEN_STRING && token->kind != SQL_TOKEN_NAME) {
        return arena_strndup(arena, s, n);
    }
    bool escapes = s[0] == 'e' || s[0] == 'E';
    size_t i = escapes ? 2 : 1;
    char quote = s[i - 1];
    Text value = TEXT(SQL_TEXT_MAX);
    while (i < n - 1) {
        if (s[i] == '\\' && escapes) {
            i += 1 + append_escape(&value, s + i + 1, n - 1 - (i + 1));
        } else {
            text_append_char(&value, s[i]);
            i += s[i] == quote ? 2 : 1;
        }
    }
    char *copy = arena_strndup(arena, text_str(&value), value.length);
    text_free(&value);
    return copy;
}

bool sql_token_is_op(const SqlToken *token, int op)
{
    return token->kind == SQL_TOKEN_OPERATOR && token->op == op;
}

bool sql_token_is_word(const SqlToken *token, SqlWord word)
{
    return token->kind == SQL_TOKEN_WORD && token->word == word;
}

bool sql_token_is_name(const SqlToken *token, SqlWordClass class)
{
    return token->kind == SQL_TOKEN_NAME ||
           (token->kind == SQL_TOKEN_WORD && sql_word_class((SqlWord)token->word) <= class);
}
