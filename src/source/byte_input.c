#include "source/byte_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/mem.h"

enum { PACKED_BYTES = 128 << 10, MAGIC_BYTES = 4 };

typedef enum Codec { CODEC_NONE, CODEC_GZIP, CODEC_ZSTD } Codec;

struct ByteInput {
    char *path;
    int fd;
    int64_t offset; /* of the next pread */
    Codec codec;
    unsigned char *packed;
    size_t packed_at, packed_n;
    bool in_member; /* a member or frame has begun and not ended */
    z_stream zlib;
    ZSTD_DStream *zstd;
};

static Codec codec_of(const unsigned char *magic, size_t n)
{
    if (n >= 2 && magic[0] == 0x1f && magic[1] == 0x8b) {
        return CODEC_GZIP;
    }
    if (n >= MAGIC_BYTES && (memcmp(magic, "\x28\xb5\x2f\xfd", MAGIC_BYTES) == 0 || /* a frame, a skippable frame */
                             ((magic[0] & 0xf0) == 0x50 && memcmp(magic + 1, "\x2a\x4d\x18", 3) == 0))) {
        return CODEC_ZSTD;
    }
    return CODEC_NONE;
}

static Status read_at(int fd, const char *path, void *buffer, size_t n, int64_t offset, size_t *got, Error *err)
{
    ssize_t r;
    do {
        r = pread(fd, buffer, n, offset);
    } while (r < 0 && errno == EINTR);
    if (r < 0) {
        return error_errno(err, "reading %s", path);
    }
    *got = (size_t)r;
    return OK;
}

static Status open_codec(ByteInput *in, Error *err)
{
    unsigned char magic[MAGIC_BYTES];
    size_t n;
    Status rc = read_at(in->fd, in->path, magic, sizeof magic, 0, &n, err);

    if (rc != OK) {
        return rc;
    }
    in->codec = codec_of(magic, n);
    if (in->codec == CODEC_NONE) {
        return OK;
    }
    in->offset = 0;
    in->packed = mem_alloc(PACKED_BYTES);
    if (in->codec == CODEC_ZSTD) {
        in->zstd = ZSTD_createDStream();
        return in->zstd != NULL ? OK : error_set(err, E_INTERNAL, "%s: zstd has no memory", in->path);
    }
    return inflateInit2(&in->zlib, 15 + 16) == Z_OK ? OK
                                                    : error_set(err, E_INTERNAL, "%s: zlib has no memory", in->path);
}

Status byte_input_open(const char *path, int64_t from, ByteInput **out, Error *err)
{
    ByteInput *in = mem_alloc(sizeof *in);
    Status rc = OK;

    in->path = mem_strdup(path);
    in->offset = from;
    in->fd = file_open(path, O_RDONLY, 0);
    if (in->fd < 0) {
        rc = error_errno(err, "opening %s", path);
    } else {
        rc = open_codec(in, err);
    }
    if (rc != OK) {
        byte_input_close(in);
        return rc;
    }
    *out = in;
    return OK;
}

void byte_input_close(ByteInput *in)
{
    if (in == NULL) {
        return;
    }
    if (in->codec == CODEC_GZIP) {
        inflateEnd(&in->zlib);
    }
    ZSTD_freeDStream(in->zstd);
    if (in->fd >= 0) {
        close(in->fd);
    }
    mem_free(in->packed);
    mem_free(in->path);
    mem_free(in);
}

bool byte_input_compressed(const ByteInput *in)
{
    return in->codec != CODEC_NONE;
}

Status byte_input_probe(const char *path, bool *compressed, Error *err)
{
    ByteInput *in;
    Status rc = byte_input_open(path, 0, &in, err);
    if (rc == OK) {
        *compressed = byte_input_compressed(in);
        byte_input_close(in);
    }
    return rc;
}

static Status fill_packed(ByteInput *in, Error *err)
{
    Status rc = read_at(in->fd, in->path, in->packed, PACKED_BYTES, in->offset, &in->packed_n, err);
    in->packed_at = 0;
    if (rc == OK) {
        in->offset += (int64_t)in->packed_n;
    }
    return rc;
}

/* Takes packed bytes, gives up to n plain ones. Padding with zeros behind the last gzip member is allowed, as gzip(1)
 * does. */
static Status inflate_some(ByteInput *in, void *buffer, size_t n, size_t *got, Error *err)
{
    z_stream *z = &in->zlib;
    if (!in->in_member && in->packed[in->packed_at] == 0) {
        in->packed_at++;
        *got = 0;
        return OK;
    }
    in->in_member = true;
    z->next_in = in->packed + in->packed_at;
    z->avail_in = (unsigned)(in->packed_n - in->packed_at);
    z->next_out = buffer;
    z->avail_out = (unsigned)n;
    int rc = inflate(z, Z_NO_FLUSH);
    in->packed_at = in->packed_n - z->avail_in;
    *got = n - z->avail_out;
    if (rc == Z_STREAM_END) {
        in->in_member = false;
        rc = inflateReset(z);
    }
    return rc == Z_OK || rc == Z_BUF_ERROR ? OK
                                           : error_set(err, E_SOURCE_FILE, "%s: the gzip stream is damaged: %s",
                                                       in->path, z->msg ? z->msg : "bad data");
}

static Status unzstd_some(ByteInput *in, void *buffer, size_t n, size_t *got, Error *err)
{
    ZSTD_inBuffer input = {in->packed, in->packed_n, in->packed_at};
    ZSTD_outBuffer output = {buffer, n, 0};
    size_t rc = ZSTD_decompressStream(in->zstd, &output, &input);

    if (ZSTD_isError(rc)) {
        return error_set(err, E_SOURCE_FILE, "%s: the zstd stream is damaged: %s", in->path, ZSTD_getErrorName(rc));
    }
    in->in_member = rc != 0;
    in->packed_at = input.pos;
    *got = output.pos;
    return OK;
}

/* A decoder may hold bytes back although it has taken all its input, so it is asked once more before more is read. */
static Status read_packed(ByteInput *in, void *buffer, size_t n, size_t *got, Error *err)
{
    Status rc = OK;
    *got = 0;
    while (rc == OK && *got == 0) {
        if (in->packed_at == in->packed_n) {
            rc = fill_packed(in, err);
            if (rc != OK || in->packed_n == 0) {
                break;
            }
        }
        rc = in->codec == CODEC_GZIP ? inflate_some(in, buffer, n, got, err) : unzstd_some(in, buffer, n, got, err);
    }
    if (rc == OK && *got == 0 && in->in_member) {
        error_set(err, E_SOURCE_FILE, "%s: the %s stream ends early", in->path,
                  in->codec == CODEC_GZIP ? "gzip" : "zstd");
        error_hint(err, "the file is cut short or was still being written; write it aside and rename it into place");
        rc = error_status(err);
    }
    return rc;
}

Status byte_input_read(ByteInput *in, void *buffer, size_t n, size_t *got, Error *err)
{
    if (in->codec != CODEC_NONE) {
        return read_packed(in, buffer, n, got, err);
    }
    Status rc = read_at(in->fd, in->path, buffer, n, in->offset, got, err);
    if (rc == OK) {
        in->offset += (int64_t)*got;
    }
    return rc;
}
