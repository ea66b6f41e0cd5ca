/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a command's name to its number.  Inside the module.
 */
#ifndef DOZO_PROTO_COMMAND_H
#define DOZO_PROTO_COMMAND_H

#include <stddef.h>

#include "proto/request.h"

/* CMD_NONE if `len` bytes at `name` are not exactly a command's name. */
enum command command_find(const char *name, size_t len);

#endif
