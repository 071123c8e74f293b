/* Time and chance. A test can set the wall clock and the seed. Any thread may call what is here. */
#ifndef FRESHET_BASE_CLOCK_H
#define FRESHET_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The wall clock, since the Unix epoch. */
int64_t clock_now_us(void);
int64_t clock_now_ms(void); /* rounded down */
/* A clock that only goes forward, since some start: for durations. */
int64_t clock_mono_us(void);
/* Waiting by that clock: makes a condition variable, and the moment `us` from now for pthread_cond_timedwait on it. */
void clock_cond_init(pthread_cond_t *cond);
struct timespec clock_deadline(int64_t us);
/* Replaces the wall clock of the process (tests); NULL restores the real one. */
void clock_set(int64_t (*now_us)(void *), void *context);

uint64_t random_u64(void);       /* per thread, seeded from the kernel */
double random_unit(void);        /* [0, 1) */
void random_seed(uint64_t seed); /* makes this thread's numbers repeatable (tests) */
enum { UUID_TEXT = 37 };
void uuid_text(char out[UUID_TEXT]); /* random (version 4), lower case, NUL-terminated */

/* "2024-01-01T00:00:00.123Z", with three digits of the second or with six. `out` holds at least 32 bytes. */
void time_iso_ms(int64_t ms, char *out);
void time_iso_us(int64_t us, char *out);
/* Reads "2024-01-01", "2024-01-01 05:06[:07[.ffffff]]", also with T, with Z or +hh[:mm] behind it; UTC where no zone is
 * given. False, and *us as it was, for anything else. */
bool time_parse_us(const char *text, int64_t *us);

#endif
