/** In place of packages that a bundle would carry along, and that nothing here comes to call. */
export default function absent(): never {
  throw new Error('This part was left out of the bundle.');
}
