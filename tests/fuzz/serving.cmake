# Prediction requests and model files.
quern_fuzz(fuzz_oip quern_serving quern_onnx)
quern_fuzz(fuzz_tfs quern_serving)
