/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The licence as -i prints it: the text of the file LICENSE, which a binary
 * must bring along where it goes without its source.
 */
#ifndef DOZO_CMD_LICENCE_H
#define DOZO_CMD_LICENCE_H

extern const char licence_text[];

#endif
