/* Runs a fuzz target over the files of its corpus, so that every compiler and every test run replays what was found.
 *
 *     fuzz_NAME FILE|FOLDER ...
 *
 * A folder is read one level deep. Without any file the target sees the empty input once.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what, const char *path)
{
    fprintf(stderr, "cannot %s %s\n", what, path);
    exit(2);
}

static void replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        die("open", path);
    /* exactly as large as the input, so that a sanitizer sees a read behind its end */
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, f) != size)
        die("read", path);
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static size_t replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        die("open", folder);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];
        struct stat st;
        int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof path)
            die("name", folder);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            replay_file(path, (size_t)st.st_size);
            count++;
        }
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0)
            continue; /* a target without a corpus yet */
        if (S_ISDIR(st.st_mode)) {
            count += replay_folder(argv[i]);
        } else {
            replay_file(argv[i], (size_t)st.st_size);
            count++;
        }
    }
    if (count == 0)
        LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    printf("%zu inputs replayed\n", count);
    return 0;
}
