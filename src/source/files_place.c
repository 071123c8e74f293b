#include "source/files_place.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "source/files_item.h"

enum { ALTERNATIVES_MAX = 256, PARTS_MAX = 128, FOLDER_DEPTH_MAX = 64 };

/* One way to read the pattern: its names from the root of the file system on. */
typedef struct Pattern {
    char *const *parts;
    size_t n;
} Pattern;

struct FilesPlace {
    Arena *arena;
    const FilesOptions *options;
    char *text, *root;
    Pattern patterns[ALTERNATIVES_MAX];
    size_t n_patterns;
    bool literal; /* it exists as it is written */
};

/* ---- reading the pattern ---- */

static bool is_wild(const char *s)
{
    return strpbrk(s, "*?[{") != NULL;
}

static Status add_pattern(FilesPlace *place, const char *text, Error *err)
{
    char **parts = arena_alloc(place->arena, PARTS_MAX * sizeof *parts);
    Pattern *pattern = &place->patterns[place->n_patterns];

    if (place->n_patterns == ALTERNATIVES_MAX) {
        return error_set(err, E_LIMIT, "%s: more than %d alternatives", place->text, ALTERNATIVES_MAX);
    }
    *pattern = (Pattern){.parts = parts};
    for (const char *s = text; *s;) {
        s += strspn(s, "/");
        size_t n = strcspn(s, "/");
        if (n > 0 && pattern->n == PARTS_MAX) {
            return error_set(err, E_LIMIT, "%s: more than %d levels of folders", place->text, PARTS_MAX);
        }
        if (n > 0) {
            parts[pattern->n++] = arena_strndup(place->arena, s, n);
        }
        s += n;
    }
    place->n_patterns++;
    return OK;
}

/* The end of the alternative that begins at s: its ',' or '}' at the same depth; NULL when there is none. */
static const char *alternative_end(const char *s)
{
    int depth = 0;
    for (; *s; s++) {
        if (depth == 0 && (*s == ',' || *s == '}')) {
            return s;
        }
        depth += *s == '{';
        depth -= *s == '}';
    }
    return NULL;
}

/* a{b,c}d is abd and acd. Braces without an end are themselves. */
static Status expand_braces(FilesPlace *place, const char *text, Error *err)
{
    const char *open = strchr(text, '{'), *close = open;
    Status rc = OK;

    while (close != NULL && *close != '}') {
        close = alternative_end(close + 1);
    }
    if (open == NULL || close == NULL) {
        return add_pattern(place, text, err);
    }
    for (const char *from = open + 1, *to; from <= close && rc == OK; from = to + 1) {
        to = alternative_end(from);
        char *one = arena_printf(place->arena, "%.*s%.*s%s", (int)(open - text), text, (int)(to - from), from,
                                 close + 1);
        rc = expand_braces(place, one, err);
    }
    return rc;
}

/* The names of the first pattern up to the first wild one, as far as all patterns share them. */
static void find_root(FilesPlace *place)
{
    const Pattern *first = &place->patterns[0];
    Text root = TEXT(1 << 20);

    for (size_t i = 0; i < first->n; i++) {
        bool shared = place->literal || !is_wild(first->parts[i]);
        for (size_t p = 1; p < place->n_patterns && shared; p++) {
            shared = i < place->patterns[p].n && strcmp(place->patterns[p].parts[i], first->parts[i]) == 0;
        }
        if (!shared) {
            break;
        }
        text_append_char(&root, '/');
        text_append(&root, first->parts[i]);
    }
    place->root = arena_strdup(place->arena, root.length > 0 ? text_str(&root) : "/");
    text_free(&root);
}

static Status read_place(const char *place, Text *out, Error *err)
{
    Text plain = TEXT(1 << 20);
    Status rc = OK;

    if (str_istarts(place, "file:")) {
        place += strlen("file:");
        place += strncmp(place, "//", 2) == 0 && place[2] == '/' ? 2 : 0;
        if (!text_append_uri_decoded(&plain, place)) {
            rc = error_set(err, E_STORE_URI, "%s: malformed file URI", place);
        }
    } else if (strstr(place, "://") != NULL) {
        rc = error_set(err, E_STORE_URI, "%s: read_files reads local files only", place);
    } else {
        text_append(&plain, place);
    }
    if (rc == OK) {
        rc = path_absolute(text_str(&plain), out, err);
    }
    text_free(&plain);
    return rc;
}

Status files_place_new(const char *text, const FilesOptions *options, FilesPlace **out, Error *err)
{
    Arena *arena = arena_new();
    FilesPlace *place = arena_alloc(arena, sizeof *place);
    Text path = TEXT(1 << 20);
    struct stat st;
    Status rc;

    *place = (FilesPlace){.arena = arena, .options = options};
    TRY(read_place(text, &path, err));
    place->text = arena_strdup(arena, text_str(&path));
    place->literal = !is_wild(place->text) || stat(place->text, &st) == 0;
    TRY(place->literal ? add_pattern(place, place->text, err) : expand_braces(place, place->text, err));
    find_root(place);
    *out = place;
out:
    text_free(&path);
    if (rc != OK) {
        arena_free(arena);
    }
    return rc;
}

void files_place_free(FilesPlace *place)
{
    if (place != NULL) {
        arena_free(place->arena);
    }
}

const char *files_place_text(const FilesPlace *place)
{
    return place->text;
}

const char *files_place_root(const FilesPlace *place)
{
    return place->root;
}

bool files_place_exists(const FilesPlace *place)
{
    struct stat st;
    return stat(place->root, &st) == 0;
}

/* ---- matching ---- */

static bool is_hidden(const char *name)
{
    return name[0] == '_' || name[0] == '.';
}

bool files_place_hides(const FilesPlace *place, const char *name)
{
    return is_hidden(name) || (place->options->name_glob != NULL && fnmatch(place->options->name_glob, name, 0) != 0);
}

/* A name against one part of a pattern; a hidden name only matches a part that begins as it does. */
static bool part_matches(const FilesPlace *place, const char *part, const char *name)
{
    if (place->literal || strcmp(part, name) == 0) {
        return strcmp(part, name) == 0;
    }
    return (!is_hidden(name) || part[0] == name[0]) && fnmatch(part, name, 0) == 0;
}

static bool match(const FilesPlace *place, const Pattern *pattern, size_t i, char *const *names, size_t j, size_t n)
{
    if (i == pattern->n) {
        if (n - j > 1 && !place->options->recursive) {
            return false;
        }
        for (; j < n; j++) {
            if (is_hidden(names[j])) {
                return false;
            }
        }
        return true;
    }
    if (strcmp(pattern->parts[i], "**") == 0) {
        for (; j <= n; j++) {
            if (match(place, pattern, i + 1, names, j, n)) {
                return true;
            }
            if (j < n && is_hidden(names[j])) {
                return false;
            }
        }
        return false;
    }
    return j < n && part_matches(place, pattern->parts[i], names[j]) && match(place, pattern, i + 1, names, j + 1, n);
}

bool files_place_matches(const FilesPlace *place, const char *path)
{
    char *names[PARTS_MAX], *copy = mem_strdup(path), *rest = copy;
    size_t n = 0;
    bool matches = false;

    for (char *name; n < PARTS_MAX && (name = strtok_r(rest, "/", &rest)) != NULL;) {
        names[n++] = name;
    }
    const char *glob = place->options->name_glob;
    if (n > 0 && (glob == NULL || fnmatch(glob, names[n - 1], 0) == 0)) {
        for (size_t p = 0; p < place->n_patterns && !matches; p++) {
            matches = match(place, &place->patterns[p], 0, names, 0, n);
        }
    }
    mem_free(copy);
    return matches;
}

/* ---- listing ---- */

typedef struct Walk {
    const FilesPlace *place;
    const FilesVisitor *visitor;
    const Pattern *pattern;
    int depth;
    Error *err;
} Walk;

static Status walk(Walk *w, const char *folder, size_t part);

static void visit_file(const Walk *w, const char *path)
{
    const char *glob = w->place->options->name_glob;
    struct stat st;

    if ((glob != NULL && fnmatch(glob, files_name(path), 0) != 0) ||
        (w->visitor->known != NULL && w->visitor->known(w->visitor->context, path))) {
        return;
    }
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        w->visitor->file(w->visitor->context, path, &st);
    }
}

/* Folder or file? Links are followed. */
static bool is_folder(const char *path, const struct dirent *entry)
{
    struct stat st;
    if (entry != NULL && entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* An entry that matches pattern parts before `part`; the folder was matched completely when part is behind the last
 * one. */
static Status visit_entry(Walk *w, const char *path, const struct dirent *entry, size_t part)
{
    bool whole = part >= w->pattern->n;
    if (is_folder(path, entry)) {
        return walk(w, path, part);
    }
    if (whole) {
        visit_file(w, path);
    }
    return OK;
}

static Status visit_name(Walk *w, const char *path, const struct dirent *entry, size_t part)
{
    bool whole = part == w->pattern->n;

    if (whole) {
        bool descend = w->place->options->recursive || !is_folder(path, entry);
        return is_hidden(entry->d_name) || !descend ? OK : visit_entry(w, path, entry, part);
    }
    if (strcmp(w->pattern->parts[part], "**") == 0) {
        if (is_hidden(entry->d_name)) {
            return OK;
        }
        bool last = part + 1 == w->pattern->n;
        return is_folder(path, entry) ? walk(w, path, part) : last ? visit_entry(w, path, entry, part + 1) : OK;
    }
    return part_matches(w->place, w->pattern->parts[part], entry->d_name) ? visit_entry(w, path, entry, part + 1) : OK;
}

static Status walk_names(Walk *w, const char *folder, size_t part)
{
    DIR *dir = opendir(folder);
    Text path = TEXT(1 << 20);
    Status rc = OK;

    if (dir == NULL) {
        return errno == ENOENT || errno == ENOTDIR ? OK : error_errno(w->err, "listing %s", folder);
    }
    if (w->visitor->folder != NULL) {
        w->visitor->folder(w->visitor->context, folder);
    }
    for (struct dirent *entry; rc == OK && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        text_clear(&path);
        path_join(&path, folder, entry->d_name);
        rc = visit_name(w, text_str(&path), entry, part);
    }
    closedir(dir);
    text_free(&path);
    return rc;
}

/* What lies in a folder that matches the parts before `part`. */
static Status walk(Walk *w, const char *folder, size_t part)
{
    Status rc = OK;

    if (++w->depth > FOLDER_DEPTH_MAX) {
        rc = error_set(w->err, E_LIMIT, "%s: folders more than %d levels deep; a link may lead back up", folder,
                       FOLDER_DEPTH_MAX);
        goto out;
    }
    bool any = part < w->pattern->n && !w->place->literal && strcmp(w->pattern->parts[part], "**") == 0;
    if (part < w->pattern->n && !any && (w->place->literal || !is_wild(w->pattern->parts[part]))) {
        Text path = TEXT(1 << 20);
        path_join(&path, folder, w->pattern->parts[part]);
        rc = visit_entry(w, text_str(&path), NULL, part + 1);
        text_free(&path);
        goto out;
    }
    if (any && part + 1 < w->pattern->n) {
        rc = walk(w, folder, part + 1);
    }
    if (rc == OK) {
        rc = walk_names(w, folder, part);
    }
out:
    w->depth--;
    return rc;
}

Status files_place_list(const FilesPlace *place, const FilesVisitor *visitor, Error *err)
{
    Status rc = OK;
    for (size_t i = 0; i < place->n_patterns && rc == OK; i++) {
        Walk w = {place, visitor, &place->patterns[i], 0, err};
        rc = walk(&w, "/", 0);
    }
    return rc;
}

/* Everything below the folder, as far as the whole path matches. */
typedef struct Below {
    const FilesPlace *place;
    const FilesVisitor *visitor;
} Below;

static bool below_known(void *context, const char *path)
{
    const Below *b = context;
    return !files_place_matches(b->place, path) ||
           (b->visitor->known != NULL && b->visitor->known(b->visitor->context, path));
}

static void below_folder(void *context, const char *path)
{
    const Below *b = context;
    if (b->visitor->folder != NULL) {
        b->visitor->folder(b->visitor->context, path);
    }
}

static void below_file(void *context, const char *path, const struct stat *st)
{
    const Below *b = context;
    b->visitor->file(b->visitor->context, path, st);
}

Status files_place_list_below(const FilesPlace *place, const char *folder, const FilesVisitor *visitor, Error *err)
{
    static const Pattern NOTHING_MORE = {0};
    Below below = {place, visitor};
    FilesVisitor all = {below_known, below_folder, below_file, &below};
    Walk w = {place, &all, &NOTHING_MORE, 0, err};
    return walk(&w, folder, 0);
}
