/* The program: room for DuckDB's recursion, then the command line. */
#include <pthread.h>
#include <sys/resource.h>

#include "cli/cli.h"

enum { STACK_BYTES = 128 << 20 };

/* DuckDB goes down nested values by calling itself, a few hundred bytes a level. Values that no table takes have to get
 * as far as the check that says so; of the stacks, only what is used takes memory. */
static void enlarge_stacks(void)
{
    struct rlimit limit;
    pthread_attr_t attributes;

    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < STACK_BYTES) {
        limit.rlim_cur = limit.rlim_max < STACK_BYTES ? limit.rlim_max : STACK_BYTES;
        (void)setrlimit(RLIMIT_STACK, &limit);
    }
    if (pthread_attr_init(&attributes) == 0) {
        if (pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0) {
            (void)pthread_setattr_default_np(&attributes);
        }
        (void)pthread_attr_destroy(&attributes);
    }
}

int main(int argc, char **argv)
{
    enlarge_stacks();
    return cli_main(argc, argv);
}
