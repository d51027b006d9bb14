/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_PROMPT_H
#define QUERN_REGISTRY_PRIVATE_PROMPT_H
/* Prompt: MLflow keeps prompts as registered models with this tag. */
#define PROMPT_TAG "mlflow.prompt.is_prompt"
#define PROMPT_TEXT_TAG "mlflow.prompt.text" /* of a version */
#define PROMPT_TYPE_TAG "_mlflow_prompt_type"
#endif
