-- What a span told of tokens, apart from its long text: sums over a trace read the index alone.
ALTER TABLE span ADD COLUMN tokens TEXT; -- attribute mlflow.chat.tokenUsage, a JSON object
CREATE INDEX span_tokens ON span (trace, span_id, tokens) WHERE tokens IS NOT NULL;

UPDATE span SET tokens = (
  SELECT a.value ->> '$.value.string_value'
  FROM json_each(span.content, '$.attributes') a
  WHERE a.value ->> '$.key' = 'mlflow.chat.tokenUsage'
    AND CASE WHEN json_valid(a.value ->> '$.value.string_value')
        THEN json_type(a.value ->> '$.value.string_value') = 'object' END
  LIMIT 1)
WHERE instr(content, '"mlflow.chat.tokenUsage"');
