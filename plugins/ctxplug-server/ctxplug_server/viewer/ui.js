// What every part and view draws with: preact and htm, under one short name.
export {
  h,
  html,
  render,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "./vendor/htm/preact.standalone.module.js";
