/* Lines typed at a terminal, with editing and a history that lasts (libedit where it was built in). */
#ifndef FRESHET_CLI_PROMPT_H
#define FRESHET_CLI_PROMPT_H

typedef struct Prompt Prompt;

Prompt *prompt_open(void);
void prompt_close(Prompt *prompt);
/* One line without its end, for the caller to mem_free; NULL at the end of input. */
char *prompt_read(Prompt *prompt, const char *label);
void prompt_remember(Prompt *prompt, const char *statement);

#endif
