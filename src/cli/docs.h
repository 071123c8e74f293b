/* The generated part of the manual: pages made from the tables the code uses. */
#ifndef FRESHET_CLI_DOCS_H
#define FRESHET_CLI_DOCS_H

#include "base/error.h"

/* Writes commands.md, options.md, properties.md, errors.md and failpoints.md into the folder. */
Status docs_generate(const char *folder, Error *err);

#endif
