// What most unit tests include besides cmake/pch.h; half the time to compile a test goes into these.
#pragma once

#include "cmake/pch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
