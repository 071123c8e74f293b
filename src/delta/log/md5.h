/* MD5 (RFC 1321). For the checksum of _last_checkpoint only, which guards against torn writes, not against people. */
#ifndef FRESHET_DELTA_LOG_MD5_H
#define FRESHET_DELTA_LOG_MD5_H

#include <stddef.h>

enum { MD5_HEX = 33 };
void md5_hex(const void *data, size_t n, char out[MD5_HEX]);

#endif
