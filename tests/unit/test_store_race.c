/* Many writers and readers of one name: threads, processes. */
#include "store_fixture.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RACERS = 8, ROUNDS = 40, PAYLOAD = 3000 };

typedef struct Racer {
    Store *store;
    int number;
    int wins;
    pthread_barrier_t *start;
    pthread_t thread;
} Racer;

/* Every racer tries to take every name with a content that is all its number. */
static void race_round(Racer *racer, int round)
{
    char key[32], content[PAYLOAD];

    snprintf(key, sizeof(key), "log/%020d.json", round);
    memset(content, 'a' + racer->number, sizeof(content));
    Status rc = store_put_if_absent(racer->store, key, content, sizeof(content), NULL);
    racer->wins += rc == OK;
    if (rc != OK && rc != ERR_EXISTS) {
        racer->wins = INT_MIN / 2; /* the sum cannot come out right */
    }
}

static void *race(void *context)
{
    Racer *racer = context;

    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(racer->start);
        race_round(racer, round);
    }
    return NULL;
}

/* Every name was won by one, whose content is whole. */
static void assert_race_won(Store *s, int wins)
{
    Error err = ERROR_NONE;
    Text t = TEXT(READ_MAX);
    char key[32];

    assert_int_equal(wins, ROUNDS);
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(key, sizeof(key), "log/%020d.json", round);
        assert_ok(store_read(s, key, READ_MAX, &t, NULL, &err));
        assert_int_equal(t.length, PAYLOAD);
        assert_int_equal(strspn(t.data, (char[]){t.data[0], '\0'}), PAYLOAD);
    }
    Seen seen = {TEXT(READ_MAX), ROUNDS + 1};
    assert_ok(store_list(s, "log", NULL, collect, &seen, &err));
    assert_int_equal(seen.most, 1); /* ROUNDS names and nothing temporary */
    text_free(&seen.text);
    text_free(&t);
}

static void threads_race(void **state)
{
    Racer racers[RACERS];
    pthread_barrier_t start;
    int wins = 0;

    pthread_barrier_init(&start, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (Racer){.store = *state, .number = i, .start = &start};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        wins += racers[i].wins;
    }
    pthread_barrier_destroy(&start);
    assert_race_won(*state, wins);
}

static void *read_until_told(void *context)
{
    Store *s = context;
    Text t = TEXT(READ_MAX);
    long torn = 0;
    StoreInfo info;

    while (store_info(s, "stop", &info, NULL) != OK) {
        if (store_read(s, "hot", READ_MAX, &t, NULL, NULL) == OK) {
            torn += t.length != PAYLOAD || strspn(t.data, (char[]){t.data[0], '\0'}) != PAYLOAD;
        }
    }
    text_free(&t);
    return (void *)torn;
}

static void readers_see_whole_contents(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    pthread_t reader;
    void *torn;
    char content[PAYLOAD];

    assert_int_equal(pthread_create(&reader, NULL, read_until_told, s), 0);
    for (int i = 0; i < 100; i++) {
        memset(content, 'a' + i % 26, sizeof(content));
        assert_ok(store_put(s, "hot", content, sizeof(content), &err));
    }
    assert_ok(put(s, "stop", "", &err));
    pthread_join(reader, &torn);
    assert_null(torn);
}

static void test_store_local__processes_race(void **state)
{
    int ends[2], status, wins = 0;
    pid_t children[RACERS];
    char go;

    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < RACERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            Racer racer = {.store = *state, .number = i};
            close(ends[1]);
            (void)!read(ends[0], &go, 1); /* ends when the parent closes its end: all start together */
            for (int round = 0; round < ROUNDS; round++) {
                race_round(&racer, round);
            }
            _exit(racer.wins < 0 ? 255 : racer.wins);
        }
    }
    close(ends[0]);
    close(ends[1]);
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 255);
        wins += WEXITSTATUS(status);
    }
    assert_race_won(*state, wins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(threads_race),
        BOTH(readers_see_whole_contents),
        LOCAL(test_store_local__processes_race),
    };
    return cmocka_run_group_tests(tests, store_enter, store_leave);
}
