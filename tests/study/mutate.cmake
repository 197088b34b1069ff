# cmake -DIN=FILE -DOUT=FILE -DFROM=TEXT -DTO=TEXT -P mutate.cmake
file(READ ${IN} text)
string(FIND "${text}" "${FROM}" first)
string(FIND "${text}" "${FROM}" last REVERSE)
if(first EQUAL -1 OR NOT first EQUAL last)
  message(FATAL_ERROR "${IN}: expected exactly once: ${FROM}")
endif()
string(REPLACE "${FROM}" "${TO}" text "${text}")
file(WRITE ${OUT} "${text}")
