/* The version, once. It stands in commitInfo.engineInfo, in `freshet version` and in the name of the release. */
#ifndef FRESHET_BASE_VERSION_H
#define FRESHET_BASE_VERSION_H

#define FRESHET_VERSION "0.1.0"

#endif
