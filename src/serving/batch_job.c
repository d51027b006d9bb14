/* SPDX-License-Identifier: Apache-2.0 */
#include "batch_job.h"

SHAPE(shape_batch_job, "BatchJob", struct batch_job,
      FIELD(struct batch_job, model, T_STR, F_REQUIRED, "File of the model"),
      FIELD(struct batch_job, format, T_STR, F_REQUIRED, "Of the input"),
      FIELD(struct batch_job, output_format, T_STR, F_REQUIRED, "Of the output"),
      FIELD(struct batch_job, columns, T_MAP, 0, "Columns that the model gets"),
      FIELD(struct batch_job, keep, T_STRS, 0, "Columns that the output repeats"),
      FIELD(struct batch_job, chunk_rows, T_I64, F_REQUIRED, "Rows at once"),
      FIELD(struct batch_job, concurrency, T_I64, F_REQUIRED, "Threads"),
      FIELD(struct batch_job, max_errors, T_I64, 0, "Rows that may fail"),
      FIELD(struct batch_job, max_output, T_I64, F_REQUIRED, "Bytes that may be written"));
SHAPE(shape_batch_progress, "BatchProgress", struct batch_progress,
      FIELD(struct batch_progress, in_total, T_I64, 0, "Bytes to be read"),
      FIELD(struct batch_progress, in_bytes, T_I64, F_ALWAYS, "Bytes of the input"),
      FIELD(struct batch_progress, line, T_I64, F_ALWAYS, "Lines of the input"),
      FIELD(struct batch_progress, rows, T_I64, F_ALWAYS, "Rows met"),
      FIELD(struct batch_progress, errors, T_I64, F_ALWAYS, "Rows that failed"),
      FIELD(struct batch_progress, out_bytes, T_I64, F_ALWAYS, "Bytes of the output"),
      FIELD(struct batch_progress, error_bytes, T_I64, F_ALWAYS, "Bytes of the errors"),
      FIELD(struct batch_progress, header, T_STR, 0, "First line of the output"),
      FIELD(struct batch_progress, first_error, T_STR, 0, "What the first failed row lacked"),
      FIELD(struct batch_progress, finished, T_BOOL, F_ALWAYS, "The input's end was reached"));
SHAPE(shape_batch_failure, "BatchFailure", struct batch_failure,
      FIELD(struct batch_failure, reason, T_STR, F_REQUIRED, "Why the worker gave up"));
