/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_DIALECT_H
#define QUERN_CORE_DIALECT_H
/* Dialect: the form in which a protocol tells its errors.
 *   MLFLOW   {"error_code":"NAME","message":"..."}
 *   OIP      {"error":"..."}
 *   PROBLEM  application/problem+json (RFC 9457) with type, title, status, detail, instance,
 *            field, request_id
 *   TEXT     "message\n" as text/plain
 *   SCORING  MLflow's form as its scoring server has it: BAD_REQUEST for every 4xx of the
 *            caller's making but values that the model does not take, plain text for 415 */
enum dialect { DIALECT_PROBLEM, DIALECT_MLFLOW, DIALECT_OIP, DIALECT_TEXT, DIALECT_SCORING };

#endif
