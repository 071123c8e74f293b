/* Spark's patterns for dates and times ("yyyy-MM-dd HH:mm:ss[.SSS]XXX"), for reading.
 *
 *   y u year   M month (MMM, MMMM: English names)   d day   H hour 0-23   h hour 1-12 with a   m minute   s second  
 *   S fraction
 *   X x Z O V z   zone: Z, UTC, GMT, +hh, +hhmm, +hh:mm   a AM, PM   E weekday (read over)   '...' literal   [...]
 *   optional
 *
 * A run of one letter takes a number of any width, a longer run that many digits or more when no digit letter follows.
 */
#ifndef FRESHET_SOURCE_TIME_PATTERN_H
#define FRESHET_SOURCE_TIME_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

typedef struct TimePattern TimePattern;

/* E_STREAM_OPTION names the letter that is not understood. Lives in `arena`. */
Status time_pattern_new(const char *pattern, Arena *arena, const TimePattern **out, Error *err);
/* The whole text as microseconds since the epoch (UTC where no zone is given). */
bool time_pattern_parse(const TimePattern *pattern, const char *s, size_t n, int64_t *us, bool *has_zone);

#endif
