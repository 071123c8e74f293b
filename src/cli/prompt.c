/* The prompt: over libedit where the build has it, else line by line from standard input. */
#include "cli/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#ifdef FRESHET_LIBEDIT

#include <histedit.h>

enum { HISTORY_LINES = 1000 };

struct Prompt {
    EditLine *edit;
    History *history;
    const char *label;
    char *file; /* where the history lasts; NULL: nowhere */
};

static const char *show_label(EditLine *edit)
{
    Prompt *prompt = NULL;

    el_get(edit, EL_CLIENTDATA, &prompt);
    return prompt->label;
}

Prompt *prompt_open(void)
{
    Prompt *prompt = mem_alloc(sizeof *prompt);
    const char *home = getenv("HOME");
    HistEvent event;

    prompt->edit = el_init("freshet", stdin, stdout, stderr);
    prompt->history = history_init();
    history(prompt->history, &event, H_SETSIZE, HISTORY_LINES);
    el_set(prompt->edit, EL_CLIENTDATA, prompt);
    el_set(prompt->edit, EL_PROMPT, show_label);
    el_set(prompt->edit, EL_EDITOR, "emacs");
    el_set(prompt->edit, EL_HIST, history, prompt->history);
    el_source(prompt->edit, NULL);
    if (home != NULL) {
        Text file = TEXT(4096);
        text_printf(&file, "%s/.freshet_history", home);
        prompt->file = text_take(&file);
        history(prompt->history, &event, H_LOAD, prompt->file);
    }
    return prompt;
}

void prompt_close(Prompt *prompt)
{
    HistEvent event;

    if (prompt->file != NULL) {
        history(prompt->history, &event, H_SAVE, prompt->file);
    }
    history_end(prompt->history);
    el_end(prompt->edit);
    mem_free(prompt->file);
    mem_free(prompt);
}

char *prompt_read(Prompt *prompt, const char *label)
{
    int n = 0;

    prompt->label = label;
    const char *line = el_gets(prompt->edit, &n);
    if (line == NULL || n <= 0) {
        return NULL;
    }
    return mem_strndup(line, line[n - 1] == '\n' ? (size_t)n - 1 : (size_t)n);
}

void prompt_remember(Prompt *prompt, const char *statement)
{
    HistEvent event;

    history(prompt->history, &event, H_ENTER, statement);
}

#else

struct Prompt {
    char *line;
    size_t capacity;
};

Prompt *prompt_open(void)
{
    return mem_alloc(sizeof(Prompt));
}

void prompt_close(Prompt *prompt)
{
    free(prompt->line);
    mem_free(prompt);
}

char *prompt_read(Prompt *prompt, const char *label)
{
    fputs(label, stdout);
    fflush(stdout);
    ssize_t n = getline(&prompt->line, &prompt->capacity, stdin);
    if (n <= 0) {
        return NULL;
    }
    return mem_strndup(prompt->line, prompt->line[n - 1] == '\n' ? (size_t)n - 1 : (size_t)n);
}

void prompt_remember(Prompt *prompt, const char *statement)
{
    (void)prompt;
    (void)statement;
}

#endif
