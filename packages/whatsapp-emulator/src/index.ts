export type * from './control/control.ts'
