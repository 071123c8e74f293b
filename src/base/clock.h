/* Time and chance, behind tables of function pointers so that a test can own them. */
#ifndef FRESHET_BASE_CLOCK_H
#define FRESHET_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Wall clock in microseconds since the Unix epoch; monotonic clock in microseconds since some start. */
int64_t clock_now_us(void);
int64_t clock_now_ms(void);
int64_t clock_mono_us(void);
/* Replaces the wall clock (tests); NULL restores the real one. */
void clock_set(int64_t (*now_us)(void *), void *context);

uint64_t random_u64(void);       /* per thread, seeded from the kernel */
double random_unit(void);        /* [0, 1) */
void random_seed(uint64_t seed); /* makes this thread's numbers repeatable (tests) */
enum { UUID_TEXT = 37 };
void uuid_text(char out[UUID_TEXT]); /* random (version 4), lower case, NUL-terminated */

/* "2024-01-01T00:00:00.123Z" (millis) or with micros. out holds at least 32 bytes. */
void time_iso_ms(int64_t ms, char *out);
void time_iso_us(int64_t us, char *out);
/* Parses "2024-01-01", "2024-01-01 05:06:07[.ffffff]", with 'T', 'Z' or +hh[:mm]; no zone = UTC. */
bool time_parse_us(const char *text, int64_t *us);

#endif
