file(READ ${FILE} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "/* generated from ${NAME} */\nextern const char ${NAME}[];\nconst char ${NAME}[] = {${bytes}0};\n")
